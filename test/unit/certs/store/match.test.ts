import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { distinctProblems } from '../../../../src/certs/store/changes.ts';
import type { StoreSnapshot, Wish } from '../../../../src/certs/store/snapshot.ts';
import { openStore } from '../../../../src/certs/store/store.ts';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { folderFor } from './support.ts';

/** Files that are not there: matching does not depend on loading. */
async function storeOf(text: string): Promise<StoreSnapshot> {
  const file = path.join(folderFor(), 'certificates.yaml');
  writeFileSync(file, `version: 1\n${text}`);
  const store = await openStore({ file, watch: false });
  await store.close();
  return store.current;
}

/** `name host[:port] [profile] [off]` a line. */
function entries(lines: readonly string[]): string {
  const items = lines.map((line) => {
    const [name, host, port = '443', profile = '-', off] = line.split(' ');
    const fields = [`name: ${name}`, `host: "${host}"`, `port: ${port === '*' ? '"*"' : port}`, 'cert: none.pem'];
    if (profile !== '-') fields.push(`profile: ${profile}`);
    if (off) fields.push('enabled: false');
    return `  - { ${fields.join(', ')} }\n`;
  });
  return `certificates:\n${items.join('')}`;
}

test('cross_site: withhold by default, a word, or the origins that are allowed', async () => {
  const store = await storeOf(`certificates:
  - { name: a, host: a, cert: none.pem }
  - { name: b, host: b, cert: none.pem, cross_site: refuse }
  - { name: c, host: c, cert: none.pem, cross_site: ["http://localhost:3000", "https://app.example"] }
`);
  expect(store.entries.map(({ crossSite }) => crossSite)).toEqual([
    'withhold',
    'refuse',
    ['http://localhost:3000', 'https://app.example'],
  ]);
});

test('a problem that many entries have is one problem, with their count', async () => {
  const lines = Array.from({ length: 41 }, (_, i) => `  - { name: e${i}, host: h${i}, cert: none.pem }\n`);
  const store = await storeOf(`certificates:\n${lines.join('')}  - { name: other, host: o, cert: other.pem }\n`);
  expect(distinctProblems(store.entries)).toMatchObject([
    { name: 'e0', entries: 41, problem: { code: 'FILE_MISSING' } },
    { name: 'other', entries: 1, problem: { code: 'FILE_MISSING' } },
  ]);
});

describe('which entry wins', () => {
  const lines = [
    'any *',
    'any-port * *',
    'corp *.corp.example',
    'corp-any *.corp.example *',
    'deep *.deep.corp.example *',
    'exact api.corp.example',
    'exact-any api.corp.example *',
    'exact-8443 api.corp.example 8443',
    'v4 192.0.2.7',
    'v6 2001:db8::1',
    'idn bücher.example',
  ];
  test.each([
    ['api.corp.example:443', 'exact', 'exact host and port'],
    ['API.Corp.Example.:443', 'exact', 'exact host and port'],
    ['api.corp.example:8443', 'exact-8443', 'exact host and port'],
    ['api.corp.example:9000', 'exact-any', 'exact host, any port'],
    ['www.corp.example:443', 'corp', 'wildcard *.corp.example, port 443'],
    ['www.corp.example:444', 'corp-any', 'wildcard *.corp.example, any port'],
    ['a.b.corp.example:443', 'corp', 'wildcard *.corp.example, port 443'],
    ['x.deep.corp.example:443', 'deep', 'wildcard *.deep.corp.example, any port'],
    ['deep.corp.example:443', 'corp', 'wildcard *.corp.example, port 443'],
    ['corp.example:443', 'any', 'any host, port 443'],
    ['xcorp.example:443', 'any', 'any host, port 443'],
    ['other.example:444', 'any-port', 'any host, any port'],
    ['192.0.2.7:443', 'v4', 'exact host and port'],
    ['[2001:db8:0:0::1]:443', 'v6', 'exact host and port'],
    ['xn--bcher-kva.example:443', 'idn', 'exact host and port'],
  ])('%s: %s, %s', async (authority, name, reason) => {
    const store = await storeOf(entries(lines));
    const choice = store.chooseCertificate(parseAuthority(authority));
    expect([choice.entry?.name, choice.reason]).toEqual([name, reason]);
  });

  test('no entry, where nothing matches', async () => {
    const store = await storeOf(entries(['corp *.corp.example']));
    expect(store.chooseCertificate(parseAuthority('corp.example:443'))).toEqual({
      entry: null,
      reason: 'no entry matches',
    });
  });

  test('the last of equals, and the others are shadowed by it', async () => {
    const store = await storeOf(
      entries(['one a.example', 'two A.example.', 'three a.example', 'other a.example 444', 'off a.example 443 - off']),
    );
    expect(store.chooseCertificate(parseAuthority('a.example:443')).entry?.name).toBe('three');
    expect(store.entries.map((entry) => store.shadowedBy(entry)?.name ?? null)).toEqual([
      'three',
      'three',
      null,
      null,
      null,
    ]);
  });
});

describe('what a client asks for', () => {
  const lines = [
    'shared *.corp.example *',
    'alice *.corp.example * alice',
    'bob api.corp.example 443 bob',
    'exact api.corp.example',
    'off api.corp.example 443 - off',
  ];
  const api = parseAuthority('api.corp.example:443');
  const choose = async (wish: Wish) => (await storeOf(entries(lines))).chooseCertificate(api, wish);

  test('nothing: entries of a profile are not used', async () => {
    expect((await choose({})).entry?.name).toBe('exact');
  });
  test('a profile: its entries come first, however general', async () => {
    expect((await choose({ profile: 'alice' })).entry?.name).toBe('alice');
    expect((await choose({ profile: 'bob' })).entry?.name).toBe('bob');
  });
  test('a profile that has none for the host: those that serve everybody', async () => {
    const store = await storeOf(entries(lines));
    expect(store.chooseCertificate(parseAuthority('www.corp.example:443'), { profile: 'bob' }).entry?.name).toBe(
      'shared',
    );
    expect((await choose({ profile: 'nobody' })).entry?.name).toBe('exact');
  });
  test('one by name, even of a profile', async () => {
    expect(await choose({ certificate: 'alice' })).toMatchObject({
      entry: { name: 'alice' },
      reason: 'named by Mtlsd-Certificate',
    });
  });
  test('none', async () => {
    expect(await choose({ certificate: 'none' })).toEqual({
      entry: null,
      reason: 'none asked for by Mtlsd-Certificate',
    });
  });
  test.each([
    ['nowhere', 'no certificate is named "nowhere"'],
    ['off', 'the certificate off is disabled'],
  ])('%s, which is refused', async (certificate, message) => {
    await expect(choose({ certificate })).rejects.toMatchObject({ code: 'CLIENT_CERTIFICATE_UNKNOWN', message });
  });
  test('one by name that is for another host, which is refused: a certificate is sent only to its host', async () => {
    const store = await storeOf(entries(lines));
    expect(() => store.chooseCertificate(parseAuthority('evil.example:443'), { certificate: 'exact' })).toThrow(
      'the certificate exact is for api.corp.example:443, not for evil.example:443',
    );
  });
});

test('every loser is named with why', async () => {
  const store = await storeOf(
    entries([
      'any * *',
      'wide *.example',
      'old api.example',
      'eight api.example 8443',
      'anyport api.example *',
      'alice api.example 443 alice',
      'off api.example 443 - off',
      'won api.example',
      'unrelated other.example',
    ]),
  );
  const api = parseAuthority('api.example:443');
  expect(Object.fromEntries(store.explainLosers(api).map(({ name, why }) => [name, why]))).toEqual({
    any: 'won has the closer host, api.example',
    wide: 'won has the closer host, api.example',
    old: 'shadowed by won, later in the file',
    eight: 'port 8443 is not 443',
    anyport: 'won has the exact port',
    alice: 'only for profile alice',
    off: 'disabled',
  });
  expect(store.explainLosers(api, { profile: 'alice' })).toContainEqual({
    name: 'won',
    why: 'alice is for profile alice',
  });
  expect(store.explainLosers(api, { certificate: 'none' })).toContainEqual({ name: 'won', why: 'none was asked for' });
  expect(store.explainLosers(api, { certificate: 'old' })).toContainEqual({
    name: 'won',
    why: 'old was asked for by name',
  });
});

describe('rules and interception', () => {
  const text = `verification:
  mode: enforce
  rules:
    - { host: dev.example, mode: report, allow: [CERT_HAS_EXPIRED], min_version: TLSv1.3 }
    - { host: "*.example", port: "*", pins: ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="], server_name: Real.Example }
interception:
  mode: listed
  unmatched: refuse
  passthrough: ["*.pinned.example", "bank.example:443", "[::1]:8443", "2001:db8::1"]
${entries(['a a.test', 'off b.test 443 - off'])}`;

  test('the closest rule is the policy, else the global one', async () => {
    const store = await storeOf(text);
    const policy = (authority: string, wish?: Wish) => store.choosePolicy(parseAuthority(authority), wish);
    expect(policy('dev.example:443')).toMatchObject({
      mode: 'report',
      rule: 'dev.example:443',
      allow: ['CERT_HAS_EXPIRED'],
      minVersion: 'TLSv1.3',
      pins: [],
    });
    expect(policy('dev.example:444')).toMatchObject({
      mode: 'enforce',
      rule: '*.example:*',
      serverName: 'real.example',
      pins: ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='],
    });
    expect(policy('other.test:443')).toMatchObject({
      mode: 'enforce',
      rule: null,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
    });
    expect(new Set(['dev.example:443', 'x.example:1', 'other.test:443'].map((a) => policy(a).id)).size).toBe(3);
  });
  test('a wish replaces the mode, and with it the id', async () => {
    const store = await storeOf(text);
    const dev = parseAuthority('dev.example:443');
    const strict = store.choosePolicy(dev, { verification: 'enforce' });
    expect(strict).toMatchObject({ mode: 'enforce', rule: 'dev.example:443', allow: ['CERT_HAS_EXPIRED'] });
    expect(strict.id).not.toBe(store.choosePolicy(dev).id);
    expect(store.choosePolicy(dev, { verification: 'report' })).toBe(store.choosePolicy(dev));
  });
  test.each([
    ['x.pinned.example:9', true],
    ['pinned.example:443', false],
    ['bank.example:443', true],
    ['bank.example:444', false],
    ['[::1]:8443', true],
    ['[::1]:443', false],
    ['[2001:db8::1]:5', true],
  ])('%s passes through: %s', async (authority, expected) => {
    expect((await storeOf(text)).passesThrough(parseAuthority(authority))).toBe(expected);
  });
  test('hosts with an enabled entry or a rule are listed', async () => {
    const store = await storeOf(text);
    const listed = ['a.test:443', 'a.test:444', 'b.test:443', 'dev.example:443', 'x.example:99', 'bank.test:1'].filter(
      (a) => store.lists(parseAuthority(a)),
    );
    expect(listed).toEqual(['a.test:443', 'dev.example:443', 'x.example:99']);
  });
});
