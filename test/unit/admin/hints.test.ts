import { describe, expect, test } from 'vitest';
import { apiHint, withApiHints } from '../../../src/admin/hints.ts';
import { RENEWAL_FAULTS } from '../../../src/certs/renewal/fault.ts';
import { ERROR_CODES, hintAt } from '../../../src/core/errors.ts';
import { ALERTS, explainAlert } from '../../../src/inspect/verify/alerts.ts';
import { PROBLEM_CODES, problemHint } from '../../../src/inspect/verify/problems.ts';
import { pageHint } from '../../../ui/words/hint.ts';

const all = [
  ...Object.values(ERROR_CODES).map(({ hint }) => hintAt(hint, 'a.example:443')),
  ...Object.values(ERROR_CODES).map(({ hint }) => hint),
  ...Object.values(RENEWAL_FAULTS),
  ...Object.keys(PROBLEM_CODES).map((code) => problemHint(code, 'a.example', 443, { codes: ['A', code] })),
  ...Object.keys(PROBLEM_CODES).map((code) => problemHint(code, '::1', 8443, { name: 'b.example', version: 'TLSv1' })),
  ...Object.values(ALERTS).map(({ hint }) => hintAt(hint, 'a.example:443')),
  hintAt(explainAlert({ number: 116, name: '' }, { requested: true, sent: false }).hint, 'a.example:443'),
];

describe('apiHint', () => {
  test.each([
    [
      'trust it: mtlsd probe https://a.example/ --save-ca a.example-ca.pem && mtlsd trust add a.example-ca.pem --host a.example; to let it through: mtlsd verification set --host a.example --allow CERT_HAS_EXPIRED',
      'trust it: POST /api/v1/trust/anchors with authority "a.example", the fingerprint256 that POST /api/v1/probe shows, and host "a.example"; to let it through: PUT /api/v1/verification/rules/a.example/443 with allow: [CERT_HAS_EXPIRED] added to the rule',
    ],
    [
      'mtlsd verification set --host [::1]:8443 --allow A B',
      'PUT /api/v1/verification/rules/%3A%3A1/8443 with allow: [A, B] added to the rule',
    ],
    ['mtlsd probe https://a.example:8443/ shows it', 'POST /api/v1/probe with authority "a.example:8443" shows it'],
    [
      'add one: mtlsd cert add a.example:8443 --cert FILE --key FILE',
      'add one: POST /api/v1/certificates with host "a.example" and port 8443',
    ],
    ['mtlsd cert enable my cert', 'PATCH /api/v1/certificates/my with enabled: true cert'],
    ['check the port', 'check the port'],
  ])('%s', (hint, expected) => {
    expect(apiHint(hint)).toBe(expected);
  });

  test.each([...new Set(all)].filter((hint) => hint.includes('mtlsd ')))('leaves no command in: %s', (hint) => {
    expect(apiHint(hint)).not.toMatch(/mtlsd (?!is\b)[a-z]+|--[a-z]/);
  });
});

describe('pageHint', () => {
  test.each([...new Set(all)].map(apiHint).filter((hint) => hint.includes('/')))('leaves no route in: %s', (hint) => {
    expect(pageHint(hint)).not.toMatch(/\/api\/|\b(?:GET|POST|PUT|PATCH|DELETE) /);
  });

  test.each([
    [
      'if you expect this root, trust it: POST /api/v1/trust/anchors with authority "a.example", the fingerprint256 that POST /api/v1/probe shows, and host "a.example" and port 8443; to let it through: PUT /api/v1/verification/rules/a.example/8443 with allow: [A, B] added to the rule',
      'If you expect this root, trust it: press Trust this CA; to let it through: add a rule under Trust that allows A, B.',
    ],
    ['check the port', 'Check the port.'],
  ])('%s', (hint, expected) => {
    expect(pageHint(hint)).toBe(expected);
  });
});

describe('withApiHints', () => {
  test('changes hints at any depth and nothing else', () => {
    const data = { hint: 'mtlsd cert list', rows: [{ a: 1 }, { hint: 'mtlsd status', text: 'mtlsd status' }], n: null };
    expect(withApiHints(data)).toEqual({
      hint: 'GET /api/v1/certificates',
      rows: [{ a: 1 }, { hint: 'GET /api/v1/status', text: 'mtlsd status' }],
      n: null,
    });
    const same = { hint: 'wait', rows: [{ hint: 'x' }] };
    expect(withApiHints(same)).toBe(same);
  });
});
