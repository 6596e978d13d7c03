import { describe, expect, test } from 'vitest';
import { CodedError } from '../../../../src/core/errors.ts';
import { editText } from '../../../../src/certs/store/edit-text.ts';
import type { StoreEdit } from '../../../../src/certs/store/edit-value.ts';
import type { RuleFields } from '../../../../src/certs/store/schema.ts';
import { storeTemplate } from '../../../../src/certs/store/template.ts';

const text = `# top
version: 1

certificates:
  # about a
  - name: a   # the a
    host:   a.example
    cert: a.crt
    passphrase: &p { env: P }   # shared

  # about b
  - &b
    host: b.example
    cert: 'b.crt'     # quoted
    passphrase: *p
  - {host: c.example, pfx: c.p12}   # in flow style

#  - host: commented.out

trust:
  ca: []   # none yet
verification:
  mode: enforce # strict
  rules:
  - host: q   # at the margin
    mode: report
`;

/** Lines that went and came: everything else has to be as it was, byte for byte. */
function diff(edit: StoreEdit, before = text): string[] {
  let text: string;
  try {
    ({ text } = editText(before, edit, 'certificates.yaml'));
  } catch (error) {
    if (error instanceof CodedError) return [`${error.code}: ${error.message}`];
    throw error;
  }
  const [old, now] = [before.split('\n'), text.split('\n')];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start++;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end++;
  return [
    ...old.slice(start, old.length - end).map((line) => `-${line}`),
    ...now.slice(start, now.length - end).map((line) => `+${line}`),
  ];
}

const set = (name: string, fields: object): StoreEdit => ({ do: 'edit-certificate', name, set: fields });

describe('an entry', () => {
  test('is added at the end, before what follows the list', () => {
    expect(
      diff({
        do: 'add-certificate',
        certificate: { passphrase: { file: '/run/p' }, cert: 'd.crt', port: '*', host: '*.d.example' },
      }),
    ).toEqual(['+  - host: "*.d.example"', '+    port: "*"', '+    cert: d.crt', '+    passphrase: { file: /run/p }']);
  });
  test('is added to the file made at first start', () => {
    expect(diff({ do: 'add-certificate', certificate: { host: 'd', pfx: 'd' } }, storeTemplate)).toEqual([
      '-certificates: []',
      '+certificates:',
      '+  - host: d',
      '+    pfx: d',
    ]);
  });
  test('is added where there is no list', () => {
    expect(diff({ do: 'add-certificate', certificate: { host: 'd', pfx: 'd' } }, 'version: 1 # v\n')).toEqual([
      '+certificates:',
      '+  - host: d',
      '+    pfx: d',
      '+',
    ]);
  });
  test('has a field changed, and its comment stays', () => {
    expect(diff(set('a', { cert: 'new.crt' }))).toEqual(['-    cert: a.crt', '+    cert: new.crt']);
    expect(diff(set('b.example', { cert: 'new.crt' }))).toEqual([
      "-    cert: 'b.crt'     # quoted",
      '+    cert: new.crt     # quoted',
    ]);
  });
  test('has fields added and taken out', () => {
    expect(diff(set('a', { enabled: false }))).toEqual(['+    enabled: false']);
    expect(diff(set('b.example', { passphrase: null }))).toEqual(['-    passphrase: *p']);
    expect(diff(set('a', { name: null }))).toEqual([
      '-  - name: a   # the a',
      '-    host:   a.example',
      '+  - host:   a.example',
    ]);
  });
  test('in flow style is changed too', () => {
    expect(diff(set('c.example', { enabled: false }))).toContain(
      '+  - {host: c.example, pfx: c.p12, enabled: false}   # in flow style',
    );
  });
  test('keeps the name that it had from its host', () => {
    expect(diff(set('b.example', { host: 'new.example' }))).toEqual([
      '-    host: b.example',
      "-    cert: 'b.crt'     # quoted",
      '-    passphrase: *p',
      '+    host: new.example',
      "+    cert: 'b.crt'     # quoted",
      '+    passphrase: *p',
      '+    name: b.example',
    ]);
  });
  test('is replaced, and the comments above it stay', () => {
    expect(
      diff({ do: 'replace-certificate', name: 'a', certificate: { host: 'z', pfx: 'z' } }, text.replace('*p', 'x')),
    ).toEqual([
      '-    host:   a.example',
      '-    cert: a.crt',
      '-    passphrase: &p { env: P }   # shared',
      '+    host:   z',
      '+    pfx: z',
    ]);
  });
  test('is removed with the comment right above it', () => {
    expect(diff({ do: 'remove-certificate', name: 'b.example' })).toEqual([
      '-  # about b',
      '-  - &b',
      '-    host: b.example',
      "-    cert: 'b.crt'     # quoted",
      '-    passphrase: *p',
    ]);
  });
  test('that is the only one leaves an empty list', () => {
    expect(
      diff({ do: 'remove-certificate', name: 'x' }, 'version: 1\ncertificates:\n  - { name: x, host: x, cert: x }\n'),
    ).toEqual(['-certificates:', '-  - { name: x, host: x, cert: x }', '+certificates: []']);
  });
});

describe('a section', () => {
  test('the mode', () => {
    expect(diff({ do: 'set-mode', mode: 'report' })).toEqual(['-  mode: enforce # strict', '+  mode: report # strict']);
    expect(diff({ do: 'set-mode', mode: 'report' }, storeTemplate)).toContain('+verification: { mode: report }');
  });
  test('a rule is added, replaced by host and port, removed', () => {
    expect(
      diff({ do: 'put-rule', rule: { host: 'r', trust: { system: false, ca: [] }, allow: ['CERT_HAS_EXPIRED'] } }),
    ).toEqual(['+  - host: r', '+    trust: { system: false, ca: [] }', '+    allow: [ CERT_HAS_EXPIRED ]']);
    expect(diff({ do: 'put-rule', rule: { host: 'Q.', mode: 'enforce' } })).toEqual([
      '-  - host: q   # at the margin',
      '-    mode: report',
      '+  - host: Q.   # at the margin',
      '+    mode: enforce',
    ]);
    expect(diff({ do: 'remove-rule', host: 'q', port: 443 })).toEqual([
      '-  rules:',
      '-  - host: q   # at the margin',
      '-    mode: report',
      '+  rules: []',
    ]);
    expect(diff({ do: 'remove-rule', host: 'q', port: '*' })).toEqual(['NOT_FOUND: there is no rule for q:*']);
  });
  test('trust, verification and interception are set whole', () => {
    expect(diff({ do: 'set-trust', trust: { system: false } })).toEqual([
      '-trust:',
      '-  ca: []   # none yet',
      '+trust: { system: false }',
    ]);
    expect(diff({ do: 'set-interception', interception: { passthrough: ['*.x', 'y:1'] } })).toEqual([
      '+interception: { passthrough: [ "*.x", y:1 ] }',
      '+',
    ]);
    const lines = diff({ do: 'set-verification', verification: { rules: [{ host: 'z', mode: 'report' }] } });
    expect(lines.filter((line) => line.startsWith('+'))).toEqual([
      '+  rules:',
      '+    - host: z',
      '+      mode: report',
    ]);
    expect(lines).toContain('-  mode: enforce # strict');
  });
});

describe('every byte that is not concerned stays', () => {
  const commented = `version: 1
certificates: [] # none yet
verification: # how servers are checked
  # about the mode
  mode: enforce # strict
  rules: # exceptions
    # about q
    - host: q # the q
      allow: [ CERT_HAS_EXPIRED ]   # until June
    - { host: r,   mode: report }  # odd
trust: { system: true,   ca: [a.pem] } # ours
`;
  const verification = (mode: 'enforce' | 'report', rules: RuleFields[]): StoreEdit => ({
    do: 'set-verification',
    verification: { mode, rules },
  });
  const q: RuleFields = { host: 'q', allow: ['CERT_HAS_EXPIRED'] };
  const r: RuleFields = { host: 'r', mode: 'report' };
  test.each([
    [
      'the first entry, with a comment behind the empty list',
      { do: 'add-certificate', certificate: { host: 'd', pfx: 'd' } },
      ['-certificates: [] # none yet', '+certificates: # none yet', '+  - host: d', '+    pfx: d'],
    ],
    [
      'a mode, by the whole section',
      verification('report', [q, r]),
      ['-  mode: enforce # strict', '+  mode: report # strict'],
    ],
    [
      'a rule added, by the whole section',
      verification('enforce', [q, r, { host: 's', mode: 'report' }]),
      ['+    - host: s', '+      mode: report'],
    ],
    [
      'a rule removed, by the whole section',
      verification('enforce', [r]),
      ['-    # about q', '-    - host: q # the q', '-      allow: [ CERT_HAS_EXPIRED ]   # until June'],
    ],
    [
      'a code added to a rule',
      { do: 'put-rule', rule: { ...q, allow: ['CERT_HAS_EXPIRED', 'HOSTNAME_MISMATCH'] } },
      [
        '-      allow: [ CERT_HAS_EXPIRED ]   # until June',
        '+      allow: [ CERT_HAS_EXPIRED, HOSTNAME_MISMATCH ]   # until June',
      ],
    ],
    [
      'a rule in flow style',
      { do: 'put-rule', rule: { host: 'r', server_name: 'x' } },
      ['-    - { host: r,   mode: report }  # odd', '+    - { host: r, server_name: x }  # odd'],
    ],
    [
      'a section in flow style',
      { do: 'set-trust', trust: { system: false, ca: ['a.pem', 'b,c.pem'] } },
      ['-trust: { system: true,   ca: [a.pem] } # ours', '+trust: { system: false,   ca: [a.pem, "b,c.pem"] } # ours'],
    ],
    [
      'all rules removed',
      verification('enforce', []),
      [
        '-  rules: # exceptions',
        '-    # about q',
        '-    - host: q # the q',
        '-      allow: [ CERT_HAS_EXPIRED ]   # until June',
        '-    - { host: r,   mode: report }  # odd',
        '+  rules: [] # exceptions',
      ],
    ],
  ] as [string, StoreEdit, string[]][])('%s', (_, edit, lines) => {
    expect(diff(edit, commented)).toEqual(lines);
    const windows = diff(edit, commented.replaceAll('\n', '\r\n'));
    expect(windows).toEqual(lines.map((line) => `${line}\r`));
  });

  test('and a section that is set whole leaves out what is the default', () => {
    const mode = 'version: 1\nverification:\n  mode: enforce # strict\n';
    expect(diff(verification('report', []), mode)).toEqual(['-  mode: enforce # strict', '+  mode: report # strict']);
    expect(diff(verification('enforce', []), 'version: 1\n')).toEqual([]);
  });

  test('without a line break at the end', () => {
    expect(diff({ do: 'add-certificate', certificate: { host: 'd', pfx: 'd' } }, 'version: 1')).toEqual([
      '+',
      '+certificates:',
      '+  - host: d',
      '+    pfx: d',
      '+',
    ]);
    expect(diff({ do: 'set-mode', mode: 'report' }, 'version: 1\nverification: { mode: enforce }')).toEqual([
      '-verification: { mode: enforce }',
      '+verification: { mode: report }',
    ]);
  });

  test('in a file of one line', () => {
    expect(diff({ do: 'add-certificate', certificate: { host: 'd', pfx: 'd' } }, '{version: 1} # all\n')).toEqual([
      '-{version: 1} # all',
      '+{version: 1, certificates: [ { host: d, pfx: d } ]} # all',
    ]);
  });
});

describe('is refused', () => {
  test.each([
    ['a name that is not there', set('x', { enabled: false }), 'NOT_FOUND: no certificate is named "x"'],
    [
      'a name that is taken',
      { do: 'add-certificate', certificate: { name: 'b.example', host: 'x', cert: 'x' } },
      'NAME_TAKEN: the name b.example is taken by the entry on line 13',
    ],
    [
      'a name taken by renaming',
      set('a', { name: 'c.example' }),
      'NAME_TAKEN: the name c.example is taken by the entry on line 16',
    ],
    [
      'fields that are not valid',
      set('a', { port: 0 }),
      'INVALID: port is 0; expected a port from 1 to 65535, or "*" in quotes for any port',
    ],
    [
      'a host that is none',
      set('a', { host: `${'x'.repeat(64)}.y` }),
      `INVALID: "${'x'.repeat(64)}.y" is not a host; expected an exact name, "*.suffix", "*" or an IP address`,
    ],
    [
      'a change that others would get by alias',
      set('a', { passphrase: 'x' }),
      "BY_HAND: certificates.yaml can't be changed by program without touching what is not meant: anchors or an unusual form of YAML",
    ],
    [
      'the removal of an anchor in use',
      { do: 'remove-certificate', name: 'a' },
      "BY_HAND: certificates.yaml can't be changed by program without touching what is not meant: anchors or an unusual form of YAML",
    ],
  ] as [string, StoreEdit, string][])('%s', (_, edit, told) => {
    expect(diff(edit)).toEqual([told]);
  });
  test('a file with a mistake, by its place', () => {
    expect(diff(set('a', { enabled: false }), 'version: 2\n')).toEqual([
      'BROKEN_FILE: certificates.yaml has a mistake, so it is not changed: certificates.yaml:1:10: version is 2; expected 1',
    ]);
  });
  test('an entry that is one by alias with another', () => {
    const shared =
      'version: 1\ncertificates:\n  - &a { name: a, host: a, cert: a }\nverification:\n  rules:\n    - &r { host: r }\n    - *r\n';
    expect(diff({ do: 'put-rule', rule: { host: 'r', mode: 'report' } }, shared)).toEqual([
      '-    - *r',
      '+    - host: r',
      '+      mode: report',
    ]);
  });
});
