import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ALLOWABLE_CODES } from '../../../../src/core/problem-codes.ts';
import { isAllowable, PROBLEM_CODES, problemHint, problemMeaning } from '../../../../src/inspect/verify/problems.ts';

const page = readFileSync(new URL('../../../../docs/problems.md', import.meta.url), 'utf8');
const rows = new Map(
  [...page.matchAll(/^\| `([A-Z0-9_]+)` \| (.+?) \| (.+?) \| (yes|no) \|$/gm)].map(([, code = '', ...cells]) => [
    code,
    cells,
  ]),
);

describe('docs/problems.md', () => {
  test('lists every code and no other', () => {
    expect([...rows.keys()].sort()).toEqual(Object.keys(PROBLEM_CODES).sort());
  });

  test.each(Object.entries(PROBLEM_CODES))('says of %s what the code says', (code, facts) => {
    expect(rows.get(code)).toEqual([facts.meaning, facts.next, isAllowable(code) ? 'yes' : 'no']);
    expect(ALLOWABLE_CODES.has(code)).toBe(isAllowable(code));
    expect(facts.meaning + facts.next).not.toMatch(/[|.]$/);
  });
});

describe('problemHint', () => {
  test('names the command that would let it through', () => {
    expect(problemHint('CERT_HAS_EXPIRED', 'a.example', 443)).toBe(
      'its owner must renew it; to let it through: mtlsd verification set --host a.example --allow CERT_HAS_EXPIRED',
    );
  });

  test('names none for what no rule lets through', () => {
    expect(problemHint('LOCAL_CA_LEAF', 'a.example', 443)).not.toContain('allow');
  });

  test('has something to say about a code of tomorrow', () => {
    expect(problemMeaning('toString')).toContain('toString');
    expect(problemHint('SUITE_B_INVALID', '::1', 8443)).toContain('openssl s_client -connect [::1]:8443');
  });
});
