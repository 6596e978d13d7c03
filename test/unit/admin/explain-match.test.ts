import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainMatch } from '../../../src/admin/explain-match.ts';
import { openStore, type Store } from '../../../src/certs/store/store.ts';
import { parseAuthority } from '../../../src/core/authority.ts';

describe('a dry run', () => {
  let store: Store;
  beforeAll(async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'mtlsd-test-')), 'certificates.yaml');
    writeFileSync(
      file,
      `version: 1
verification:
  rules:
    - { host: a.example, port: "*", mode: report }
    - { host: a.example, allow: [CERT_HAS_EXPIRED] }
    - { host: a.example, allow: [HOSTNAME_MISMATCH] }
    - { host: "*.example", mode: enforce }
interception: { unmatched: refuse }
`,
    );
    store = await openStore({ file, watch: false });
  });
  afterAll(() => store.close());

  const explain = (authority: string) =>
    explainMatch(store.current, parseAuthority(authority, 443), {}, (decision) => decision);

  test('names the rule that wins and each that loses, with the reason', () => {
    const { verification } = explain('a.example');
    expect(verification).toMatchObject({
      rule: 'a.example:443',
      reason: 'exact host and port',
      allow: ['HOSTNAME_MISMATCH'],
    });
    expect(verification.losers).toEqual([
      { name: 'a.example:*', why: 'a.example:443 has the exact port' },
      { name: 'a.example:443', why: 'another rule for the same host and port comes later in the file' },
      { name: '*.example:443', why: 'a.example:443 has the closer host, a.example' },
    ]);
  });

  test('explains a refusal, with the next step', () => {
    expect(explain('b.org')).toMatchObject({
      action: 'refuse',
      error: { code: 'POLICY_REFUSED', hint: expect.stringContaining('interception.unmatched') },
      verification: { rule: null, reason: 'no rule matches', losers: [] },
    });
  });
});
