import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { storeJsonSchema } from '../../../../config/json-schemas.ts';
import { parseStore } from '../../../../src/certs/store/parse.ts';
import { describeProblem } from '../../../../src/core/yaml/read.ts';
import { openStore } from '../../../../src/certs/store/store.ts';
import { storeTemplate } from '../../../../src/certs/store/template.ts';
import { folderFor, Watched } from './support.ts';

/** What the schema alone can't say, so that an editor finds no fault in it. */
const beyondSchema = new Set([
  'label too long',
  'name twice',
  'versions crossed',
  'passthrough port',
  'wildcard over addresses',
  'a problem code that is none, close to one that is',
  'cross_site with origins that browsers write otherwise',
  'renew with a URL that is more than an address',
  'renew with a share that is none',
  'renew of a certificate that is no file',
  'renew by a command with what is for a CA',
]);

const entry = (text: string) => `version: 1\ncertificates:\n  - ${text}\n`;

const mistakes: readonly [what: string, text: string, problems: readonly string[]][] = [
  [
    'renew without a way',
    entry('{ host: a, cert: b, renew: {} }'),
    ['3:32: no way to renew is given; expected one of est, step and command'],
  ],
  [
    'renew by two ways',
    entry('{ host: a, cert: b, renew: { est: "https://a", step: "https://b" } }'),
    ['3:52: est and step are both given; expected one of est, step and command'],
  ],
  [
    'renew over plain HTTP',
    entry('{ host: a, cert: b, renew: { est: "http://a" } }'),
    ['3:39: est is "http://a"; expected an https URL'],
  ],
  [
    'renew with a URL that is more than an address',
    entry('{ host: a, cert: b, renew: { step: "https://me:pass@a/x" } }'),
    ['3:40: the URL of a CA has more than an address in it; expected https://HOST[:PORT][/PATH] and nothing else'],
  ],
  [
    'renew with a share that is none',
    entry('{ host: a, cert: b, renew: { est: "https://a", after: 3/2 } }'),
    ['3:59: after is 3/2; expected a share between 0.05 and 0.95, such as 2/3 or 0.5'],
  ],
  [
    'renew of a certificate that is no file',
    entry('{ host: a, cert: { command: [x] }, renew: { est: "https://a" } }'),
    ['3:47: cert is no file, and renew replaces files; expected no renew; a command has refresh: 15m'],
  ],
  [
    'renew by a command with what is for a CA',
    entry('{ host: a, cert: b, renew: { command: [x], rekey: true } }'),
    ['3:55: rekey goes with est or step; expected command alone'],
  ],
  [
    'refresh that is no duration',
    entry('{ host: a, cert: { command: [x], refresh: soon } }'),
    [
      '3:22: cert is a mapping with "command", "refresh"; expected a path, relative to this file or absolute; or { env: NAME }, or { command: [PROGRAM, ARGUMENT, ...] }',
    ],
  ],
  ['nothing', '', ['1:1: the file is empty; expected version: 1, then the sections of a store']],
  ['comments alone', '# hello\n', ['1:1: the file is empty; expected version: 1, then the sections of a store']],
  ['a list', '- a\n', ['1:1: the file is a list; expected version: 1 and the sections of a store']],
  ['no version', 'certificates: []\n', ['1:1: version is missing; expected 1']],
  ['another version', 'version: 2\n', ['1:10: version is 2; expected 1']],
  [
    'an unknown section',
    'version: 1\ncertificate: []\n',
    [
      '2:1: "certificate" is not known here; expected one of version, certificates, trust, verification, interception (certificates?)',
    ],
  ],
  [
    'certificates of another kind',
    'version: 1\ncertificates: {}\n',
    ['2:15: certificates is a mapping; expected a list of entries'],
  ],
  ['an empty section', 'version: 1\ncertificates:\n', ['2:14: certificates is empty; expected a list of entries']],
  [
    'an entry that is text',
    entry('api.example'),
    ['3:5: item 1 of certificates is "api.example"; expected an entry: host with cert (and key), or with pfx'],
  ],
  [
    'no host',
    entry('cert: a.pem'),
    ['3:5: host is missing; expected a host alone: an exact name, "*.suffix", "*" or an IP address'],
  ],
  [
    'a URL for a host',
    entry('{ host: "https://api.example/v1", cert: a }'),
    ['3:13: host is "https://api.example/v1"; expected the host alone: api.example'],
  ],
  [
    'host and port',
    entry('{ host: "api.example:8443", cert: a }'),
    ['3:13: host is "api.example:8443"; expected host: api.example and, on its own line, port: 8443'],
  ],
  [
    'a wildcard in the middle',
    entry('{ host: "api.*.example", cert: a }'),
    ['3:13: host is "api.*.example"; expected a host alone: an exact name, "*.suffix", "*" or an IP address'],
  ],
  [
    'a wildcard without a dot',
    entry('{ host: "*api.example", cert: a }'),
    ['3:13: host is "*api.example"; expected a "*" only alone or as the first label, as in "*.corp.example"'],
  ],
  [
    'label too long',
    entry(`{ host: ${'a'.repeat(64)}.example, cert: a }`),
    [`3:13: "${'a'.repeat(64)}.example" is not a host; expected an exact name, "*.suffix", "*" or an IP address`],
  ],
  [
    'wildcard over addresses',
    entry('{ host: "*.192.0.2.7", cert: a }'),
    ['3:13: "*.192.0.2.7" is not a host; expected an exact name, "*.suffix", "*" or an IP address'],
  ],
  [
    'a port of 0',
    entry('{ host: a, port: 0, cert: a }'),
    ['3:22: port is 0; expected a port from 1 to 65535, or "*" in quotes for any port'],
  ],
  [
    'a port in quotes',
    entry('{ host: a, port: "443", cert: a }'),
    ['3:22: port is "443"; expected the number without quotes: 443'],
  ],
  [
    'an alias where "*" is meant',
    entry('{ host: a, port: *, cert: a }'),
    ['3:22: a "*" starts an alias without a name; expected "*" in quotes where the star itself is meant'],
  ],
  ['no certificate', entry('host: a'), ['3:5: neither cert nor pfx is given; expected either cert (with key), or pfx']],
  [
    'cert and pfx',
    entry('{ host: a, cert: a, pfx: b }'),
    ['3:25: cert and pfx are both given; expected either cert (with key), or pfx'],
  ],
  [
    'key and pfx',
    entry('{ host: a, pfx: b, key: c }'),
    ['3:24: key goes with cert; expected cert beside key, or pfx alone'],
  ],
  ['alias and cert', entry('{ host: a, cert: b, alias: c }'), ['3:25: alias goes with pfx; expected pfx beside alias']],
  [
    'crt',
    entry('{ host: a, crt: b, cert: c }'),
    [
      '3:16: "crt" is not known here; expected one of name, host, port, cert, key, pfx, alias, passphrase, enabled, profile, withhold_unverified, cross_site, renew (cert?)',
    ],
  ],
  [
    'cross_site misspelt',
    entry('{ host: a, cert: b, cross_site: witheld }'),
    [
      '3:37: cross_site is "witheld"; expected withhold, allow, refuse, or a list of origins such as [http://localhost:3000]',
    ],
  ],
  [
    'cross_site with a URL',
    entry('{ host: a, cert: b, cross_site: ["http://localhost:3000/app"] }'),
    [
      '3:37: cross_site is a list; expected withhold, allow, refuse, or a list of origins such as [http://localhost:3000]',
    ],
  ],
  [
    'cross_site with origins that browsers write otherwise',
    entry('{ host: a, cert: b, cross_site: ["https://App.example:443/", "http://[::1]:80", "http://a:99999"] }'),
    [
      '3:38: "https://App.example:443/" is not an origin as browsers send it; expected https://app.example',
      '3:66: "http://[::1]:80" is not an origin as browsers send it; expected http://[::1]',
      '3:85: "http://a:99999" is not an origin as browsers send it; expected scheme://host[:port]',
    ],
  ],
  [
    'a path that is a number',
    entry('{ host: a, cert: 5 }'),
    [
      '3:22: cert is 5; expected a path, relative to this file or absolute; or { env: NAME }, or { command: [PROGRAM, ARGUMENT, ...] }',
    ],
  ],
  [
    'a passphrase that is a number',
    entry('{ host: a, cert: b, passphrase: 1234 }'),
    [
      '3:37: passphrase is a number; expected text in quotes, or { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
    ],
  ],
  [
    'a passphrase source misspelt',
    entry('{ host: a, cert: b, passphrase: { evn: A } }'),
    [
      '3:37: passphrase is a mapping; expected text in quotes, or { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
    ],
  ],
  [
    'a command that is text',
    entry('{ host: a, cert: b, passphrase: { command: "op read x" } }'),
    [
      '3:37: passphrase is a mapping; expected text in quotes, or { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
    ],
  ],
  ['yes for true', entry('{ host: a, cert: b, enabled: yes }'), ['3:34: enabled is "yes"; expected true or false']],
  [
    'a name with a space',
    entry('{ host: a, cert: b, name: my cert }'),
    [
      '3:31: name is "my cert"; expected up to 100 letters, digits, ".", "_" or "-", starting with a letter or digit, and not "none"',
    ],
  ],
  [
    'the name none',
    entry('{ host: a, cert: b, name: none }'),
    [
      '3:31: name is "none"; expected up to 100 letters, digits, ".", "_" or "-", starting with a letter or digit, and not "none"',
    ],
  ],
  [
    'name twice',
    'version: 1\ncertificates:\n  - { name: a, host: a, cert: b }\n  - { name: a, host: b, cert: b }\n',
    ['4:13: the name a is taken by the entry on line 3; expected a name of its own'],
  ],
  [
    'trust as text',
    'version: 1\ntrust: system\n',
    ['2:8: trust is "system"; expected { system: true or false, ca: [PATH, ...], crl: [PATH or URL, ...] }'],
  ],
  [
    'ca as text',
    'version: 1\ntrust: { ca: root.pem }\n',
    ['2:14: ca is "root.pem"; expected a list of paths of CA certificates'],
  ],
  [
    'an unknown mode',
    'version: 1\nverification: { mode: off }\n',
    ['2:23: mode is "off"; expected "enforce" or "report"'],
  ],
  [
    'a pin of another kind',
    'version: 1\nverification: { rules: [{ host: a, pins: [sha1/abc] }] }\n',
    ['2:43: item 1 of pins is "sha1/abc"; expected "sha256/" and the base64 SHA-256 of a public key'],
  ],
  [
    'versions crossed',
    'version: 1\nverification: { rules: [{ host: a, min_version: TLSv1.3, max_version: TLSv1.2 }] }\n',
    ['2:49: min_version is above max_version; expected a version up to TLSv1.2'],
  ],
  [
    'passthrough as a URL',
    'version: 1\ninterception: { passthrough: ["https://a/"] }\n',
    [
      '2:31: item 1 of passthrough is "https://a/"; expected a host, "*.suffix" or address, with ":port" where only one port is meant',
    ],
  ],
  [
    'passthrough port',
    'version: 1\ninterception: { passthrough: ["a:70000"] }\n',
    [
      '2:31: "a:70000" is not a host; expected a host, "*.suffix" or address, with ":port" where only one port is meant',
    ],
  ],
  ['a tab', 'version: 1\ncertificates:\n\t- host: a\n', ['3:1: a tab is used for indentation; expected spaces']],
  ['a key twice', 'version: 1\nversion: 1\n', ['2:1: a key is there twice; expected each key once']],
  [
    'an unknown tag',
    'version: 1\ncertificates: !!js/function x\n',
    [
      '2:15: a "!" starts an unknown tag; expected quotes around text that starts with one of * & ! | > % @ ` or holds ": " or " #"',
    ],
  ],
  [
    'an unknown anchor',
    entry('*a'),
    [
      '3:5: an alias has no anchor above it; expected quotes around text that starts with one of * & ! | > % @ ` or holds ": " or " #"',
    ],
  ],
  [
    'a problem code that is none, close to one that is',
    'version: 1\nverification: { rules: [{ host: a, allow: [CERT_EXPIRED, SELF_SIGNED_CERT, LOCAL_CA_LEAF, NONSENSE] }] }\n',
    [
      '2:44: CERT_EXPIRED is not a problem code that can be allowed; expected CERT_HAS_EXPIRED',
      '2:58: SELF_SIGNED_CERT is not a problem code that can be allowed; expected DEPTH_ZERO_SELF_SIGNED_CERT',
      '2:76: LOCAL_CA_LEAF is not a problem code that can be allowed; expected a problem code of docs/problems.md',
      '2:91: NONSENSE is not a problem code that can be allowed; expected a problem code of docs/problems.md',
    ],
  ],
  [
    'the same mistake in many entries, reported once',
    `version: 1\ncertificates:\n${'  - { host: a, crt: a, cert: a, port: 0 }\n'.repeat(41)}  - { host: a, cert: a, port: 70000 }\n`,
    [
      '3:16: "crt" is not known here (41 times); expected one of name, host, port, cert, key, pfx, alias, passphrase, enabled, profile, withhold_unverified, cross_site, renew (cert?)',
      '3:39: port is 0 (41 times); expected a port from 1 to 65535, or "*" in quotes for any port',
      '44:31: port is 70000; expected a port from 1 to 65535, or "*" in quotes for any port',
    ],
  ],
  [
    'several at once, in their order',
    'version: 3\ncertificates:\n  - host: a\n    port: 0\nextra: 1\n',
    [
      '1:10: version is 3; expected 1',
      '3:5: neither cert nor pfx is given; expected either cert (with key), or pfx',
      '4:11: port is 0; expected a port from 1 to 65535, or "*" in quotes for any port',
      '5:1: "extra" is not known here; expected one of version, certificates, trust, verification, interception',
    ],
  ],
];

/** Passphrases without quotes or in the wrong place, and a pasted key. */
const canary = 'hunter2canary';
const leaks = [
  `{ host: a, cert: b, passphrase: *${canary} }`,
  `{ host: a, cert: b, passphrase: !${canary} }`,
  `{ host: a, cert: b, passphrase: @${canary} }`,
  `{ host: a, cert: b, passphrase: "\\q${canary}" }`,
  `{ host: a, cert: b, passphrase: {${canary}} }`,
  `{ host: a, cert: b, passphrase: [${canary}] }`,
  `{ host: a, cert: b, passphrase: "x" ${canary} }`,
  `host: a\n    cert: b\n    passphrase: ${canary}: x`,
  `host: a\n    cert: b\n    passphrase: %${canary}`,
  `host: a\n    cert: b\n    passphrase: |${canary}`,
  `host: a\n    cert: |\n      -----BEGIN PRIVATE KEY-----\n      ${canary}\n      -----END PRIVATE KEY-----`,
  `host: a\n    cert: b\n    password: ${canary}`,
];

test.each(leaks)('a mistake in %s does not show the secret', (text) => {
  const outcome = parseStore(entry(text), 'certificates.yaml');
  expect(outcome.ok).toBe(false);
  expect(JSON.stringify(outcome)).not.toContain(canary);
});

const ajv = new Ajv2020({ allErrors: true });
ajv.addKeyword('errorMessage');
const editorAccepts = ajv.compile(JSON.parse(storeJsonSchema()) as object);

describe.each(mistakes)('%s', (what, text, problems) => {
  test('is reported with its place and what was expected', () => {
    const outcome = parseStore(text, '/home/x/certificates.yaml');
    expect(outcome.ok ? [] : outcome.problems.map(describeProblem)).toEqual(
      problems.map((line) => `certificates.yaml:${line}`),
    );
  });
  test('is seen by an editor with the JSON Schema', () => {
    let value: unknown;
    try {
      value = parse(text, { schema: 'core', logLevel: 'error' });
    } catch {
      value = null; // no YAML at all: every editor sees that
    }
    expect(editorAccepts(value)).toBe(beyondSchema.has(what));
  });
});

/** Without the "# " in front of all that follows the list's key. */
function opened(text: string): string {
  const [head = '', examples = ''] = text.split('certificates: []');
  return `${head}certificates:${examples.replace(/^# ?/gm, '')}`;
}

describe('the JSON Schema', () => {
  const config = (name: string) => readFileSync(path.join(import.meta.dirname, '../../../../config', name), 'utf8');
  test('in config/ is the definition in force (npm run schema)', () => {
    expect(config('certificates.schema.json')).toBe(storeJsonSchema());
  });
  test.each([
    ['the example', config('certificates.example.yaml')],
    ['the file made at first start', storeTemplate],
    ['the file made at first start with its comments opened', opened(storeTemplate)],
  ])('accepts %s, as the loader does', (_, text) => {
    expect(parseStore(text, 'x')).toMatchObject({ ok: true });
    expect(editorAccepts(parse(text))).toBe(true);
  });
});

describe('a file made to cost much is refused, and the last good store stays', () => {
  const aliases = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`);
  test.each([
    ['aliases of aliases', `version: 1\na0: &a0 [x]\n${aliases.join('\n')}\n`, 'too many aliases'],
    ['deep flow nesting', `version: 1\ncertificates: ${'['.repeat(8000)}`, ''],
    ['deep flow nesting in a large file', `version: 1\ncertificates: ${'['.repeat(200_000)}`, ''],
    [
      'deep block nesting',
      `version: 1\n${Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')}`,
      '',
    ],
    ['17 MiB', `version: 1\n#${'x'.repeat(17 * 1024 * 1024)}`, 'the file has'],
  ])('%s', async (_, text, message) => {
    const watched = await Watched.open(path.join(folderFor(), 'certificates.yaml'), 'version: 1\n', { watch: false });
    const before = watched.store.current;
    writeFileSync(watched.store.file, text);
    const started = performance.now();
    const result = await watched.store.reload();
    expect(result.ok).toBe(false);
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(watched.store.lastRejection?.problems[0]?.message).toContain(message);
    expect(watched.store.current).toBe(before);
  });
});

describe('at the first start', () => {
  test('a missing file is made, for its owner alone, with an empty store', async () => {
    const file = path.join(folderFor(), 'home', 'certificates.yaml');
    const store = await openStore({ file, watch: false });
    expect(store.current.entries).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(storeTemplate);
    await store.close();
  });
  test('all mistakes are thrown at once', async () => {
    const file = path.join(folderFor(), 'certificates.yaml');
    writeFileSync(file, 'version: 2\nextra: 1\n');
    await expect(openStore({ file })).rejects.toMatchObject({
      code: 'BAD_CONFIGURATION',
      message:
        'certificates.yaml:1:10: version is 2; expected 1\ncertificates.yaml:2:1: "extra" is not known here; expected one of version, certificates, trust, verification, interception',
    });
  });
  test('CA certificates that can not be read are mistakes of the file, with their place', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'bad.pem'), 'garbage');
    const file = path.join(folder, 'certificates.yaml');
    writeFileSync(file, 'version: 1\ntrust:\n  ca:\n    - nowhere.pem\n    - bad.pem\n');
    await expect(openStore({ file })).rejects.toMatchObject({
      message: expect.stringMatching(/:4:7: .*nowhere\.pem does not exist.*\n.*:5:7: .*bad\.pem/) as string,
    });
  });
});
