import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseStore } from '../../../../src/certs/store/parse.ts';
import { quickParse } from '../../../../src/certs/store/quick-parse.ts';

/** What the YAML parser says of a text is the truth; the quick one says the same or nothing. */
async function agree(text: string): Promise<'same' | 'left to the YAML parser'> {
  const quick = await quickParse(text, 'x');
  if (quick === null) return 'left to the YAML parser';
  expect({ ok: true, store: quick }).toEqual(parseStore(text, 'x'));
  return 'same';
}

const store = (entries: string, rest = '') => `version: 1\ncertificates:\n${entries}${rest}`;

describe('is read quickly, and the same', () => {
  test.each([
    [
      'block entries',
      store(
        '  - host: a.example\n    cert: a.pem\n    key: a.key\n  - host: "*.b.example"\n    port: "*"\n    pfx: b.p12\n',
      ),
    ],
    ['entries in the first column', store('- host: a\n  cert: a\n- host: b\n  cert: b\n')],
    ['wide indentation', store('      -   host: a\n          cert: a\n')],
    [
      'flow entries',
      store('  - { name: a, host: "*", port: 8443, cert: a, enabled: false }\n  - {host: b, cert: b}\n'),
    ],
    [
      'passphrases',
      store(
        '  - host: a\n    cert: a\n    passphrase: { env: A }\n  - host: b\n    cert: b\n    passphrase:\n      command:\n        - op\n        - \'read x\'\n  - { host: c, cert: c, passphrase: { command: [op, "a: b"] } }\n',
      ),
    ],
    [
      'comments and empty lines',
      store(
        '  # first\n\n  - host: a # the host\n    # the file\n    cert: a.pem   # here\n\n\n# last\n  - host: b\n    cert: b\n',
      ),
    ],
    ['Windows line ends', store('  - host: a\n    cert: a\n', 'trust: { system: false }\n').replaceAll('\n', '\r\n')],
    [
      'sections before and behind, with their places',
      `trust:\n  system: false\n  ca: [a]\n${store('  - host: a\n    cert: a\n  - host: b\n    cert: b\n', 'verification:\n  rules:\n    - host: c\n      mode: report\n')}`,
    ],
    ['no line break at the end', store('  - host: a\n    cert: a')],
    [
      'words that look like other things',
      store('  - { host: 10.0.0.1, cert: 1password.pem, alias: x, name: e5 }\n').replace(', alias: x', ''),
    ],
    ['a byte-order mark', `\uFEFF${store('  - host: a\n    cert: a\n')}`],
  ])('%s', async (_, text) => {
    expect(await agree(text)).toBe('same');
  });

  test('what the yaml library writes', async () => {
    const certificates = Array.from({ length: 200 }, (_, i) => ({
      name: `n${i}`,
      host: `*.h${i}.example`,
      port: i % 2 ? '*' : 8443,
      cert: `c/${i}.pem`,
      passphrase: { env: `P${i}` },
    }));
    expect(await agree(stringify({ version: 1, certificates, trust: { ca: [] } }))).toBe('same');
  });
});

describe('is left to the YAML parser', () => {
  test.each([
    ['anchors', store('  - &a\n    host: a\n    cert: a\n  - host: b\n    cert: b\n')],
    ['escapes', store('  - host: a\n    cert: "a\\u0062"\n')],
    ['block text', store('  - host: a\n    cert: |\n      a\n')],
    ['text over two lines', store('  - host: a\n    cert: a\n      b\n')],
    ['quoted text over two lines', store('  - host: a\n    cert: "a\n      b"\n')],
    ['quotes doubled', store("  - host: a\n    cert: 'it''s'\n")],
    ['words with spaces', store('  - host: a\n    cert: my file.pem\n')],
    ['odd numbers', store('  - host: a\n    port: 0o17\n    cert: a\n')],
    ['null', store('  - host: a\n    cert: null\n')],
    ['a key twice', store('  - host: a\n    host: b\n    cert: b\n')],
    ['a name twice', store('  - { name: a, host: a, cert: a }\n  - { name: a, host: b, cert: a }\n')],
    ['a mistake in an entry', store('  - host: a\n')],
    ['a mistake elsewhere', store('  - host: a\n    cert: a\n', 'trust: 5\n')],
    ['other indentation', store('  - host: a\n    cert: a\n   - host: b\n     cert: b\n')],
    ['tabs', store('  - host: a\n    cert:\ta\n')],
    ['a hash without a space', store('  - host: a\n    cert: a#b\n')],
    ['the key inside something else', 'version: 1\ntrust: {\ncertificates:\n- a }\n'],
    ['two documents', store('  - host: a\n    cert: a\n', '---\nversion: 1\n')],
    ['no list', 'version: 1\n'],
    ['an empty list', 'version: 1\ncertificates:\n'],
  ])('%s', async (_, text) => {
    expect(await agree(text)).toBe('left to the YAML parser');
  });
});

test('random texts of the characters that matter: never another meaning', async () => {
  // A small generator with a seed, so that a failure can be repeated.
  let seed = 20_261_124;
  const random = (below: number) => {
    for (const [left, shift] of [
      [true, 13],
      [false, 17],
      [true, 5],
    ] as const)
      seed ^= left ? seed << shift : seed >>> shift;
    return (seed >>> 0) % below;
  };
  const pieces = [
    'host: ',
    'cert: ',
    'a',
    'b.c',
    '  ',
    '    ',
    '\n',
    '\n',
    '\n  - ',
    '\n    ',
    '- ',
    '{ ',
    ' }',
    '[',
    ']',
    ', ',
    '"',
    "'",
    '#',
    ' # x',
    ': ',
    ':',
    '*',
    '&a ',
    '!',
    '|',
    '>',
    '443',
    '0x1',
    '1.5',
    'true',
    'null',
    '~',
    '\t',
    '\r\n',
    'port: ',
    'x: y',
    '---',
    '\\',
    '%',
  ];
  const base = '  - host: a\n    cert: b\n  - { host: c, cert: d }\n';
  let same = 0;
  for (let round = 0; round < 6000; round++) {
    let text = base;
    for (let edits = 1 + random(2); edits > 0; edits--) {
      const at = random(text.length);
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? '') + text.slice(at + random(2));
    }
    if ((await agree(store(text))) === 'same') same++;
  }
  expect(same).toBeGreaterThan(100);
});
