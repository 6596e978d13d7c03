import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatusAnswer } from '../../src/admin/routes/status.ts';
import type { MatchAnswer } from '../../src/admin/schemas/match.ts';
import type { RuleFields, TrustFields, VerificationFields } from '../../src/certs/store/schema.ts';
import { type AdminClient, adminClient, type Refusal } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, createPki, DAY } from '../support/pki.ts';

describe('the rest of the store over the API', () => {
  const files = temporaryDirectory();
  let origin: Origin;
  let daemon: RunningDaemon;
  let admin: AdminClient;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(files, 'root');
    // Of a year, since warnings start in the last third of a lifetime.
    const year = { notBefore: ago(335 * DAY) };
    (await root.issue({ cn: 'alice', eku: ['clientAuth'], ...year })).write(files, 'alice');
    const server = await root.issue({ cn: 'localhost' });
    origin = await nodeOrigin({ key: server.keyPem, cert: server.chainPem });
    const own = `cert: ${files}/alice.crt, key: ${files}/alice.key`;
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: wide, host: "*.match.example", port: "*", ${own} }
  - { name: old, host: api.match.example, ${own} }
  - { name: new, host: api.match.example, ${own} }
  - { name: hers, host: api.match.example, profile: carol, ${own} }
  - { name: off, host: api.match.example, enabled: false, ${own} }
  - { name: broken, host: broken.example, cert: gone.pem }
trust: { system: false }
verification:
  rules:
    - { host: "*.match.example", mode: report }
    - { host: api.match.example, port: 8443, allow: [CERT_HAS_EXPIRED] }
interception: { passthrough: ["bank.example"], unmatched: intercept }
`,
    });
    admin = await adminClient(daemon);
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  const status = async (): Promise<number> => (await curl(origin.url, through(daemon))).status;
  const etagOf = async (path: string): Promise<string> => (await admin.call('GET', path)).headers.get('etag') ?? '';
  const store = (): string => readFileSync(join(daemon.home, 'certificates.yaml'), 'utf8');

  test('a rule turns verification off for one host, and its removal on again', async () => {
    const path = `/api/v1/verification/rules/localhost/${origin.port}`;
    expect(await status()).toBe(502);
    expect((await admin.call('GET', path)).status).toBe(404);
    const added = await admin.call<RuleFields>('PUT', path, {
      body: { mode: 'report' },
      headers: { 'if-none-match': '*' },
    });
    expect([added.status, added.body]).toEqual([201, { host: 'localhost', port: origin.port, mode: 'report' }]);
    expect(added.headers.get('location')).toBe(path);
    expect(await status()).toBe(200);

    const etag = added.headers.get('etag') ?? '';
    expect(await etagOf(path)).toBe(etag);
    const twice = await admin.call<Refusal>('PUT', path, {
      body: { mode: 'report' },
      headers: { 'if-none-match': '*' },
    });
    expect([twice.status, twice.body.code]).toEqual([412, 'EXISTS_ALREADY']);
    const changed = await admin.call('PUT', path, { body: { mode: 'enforce' }, headers: { 'if-match': etag } });
    expect(changed.status).toBe(200);
    const stale = await admin.call<Refusal>('DELETE', path, { headers: { 'if-match': etag } });
    expect([stale.status, stale.body.code]).toEqual([412, 'CHANGED_MEANWHILE']);
    expect((await admin.call('DELETE', path)).status).toBe(204);
    expect((await admin.call('DELETE', path)).status).toBe(404);
    expect(await status()).toBe(502);
  });

  test('wildcards, any port and addresses have an address of their own', async () => {
    for (const [host, port, rule] of [
      ['*.corp.example', '*', { host: '*.corp.example', port: '*' }],
      ['::1', '443', { host: '::1', port: 443 }],
      ['*', '8443', { host: '*', port: 8443 }],
    ] as const) {
      const path = `/api/v1/verification/rules/${encodeURIComponent(host)}/${encodeURIComponent(port)}`;
      expect((await admin.call<RuleFields>('PUT', path, { body: { min_version: 'TLSv1.3' } })).body).toMatchObject(
        rule,
      );
      expect((await admin.call<RuleFields>('GET', path)).body).toEqual({ ...rule, min_version: 'TLSv1.3' });
      expect((await admin.call('DELETE', path)).status).toBe(204);
    }
  });

  test('sections are read, replaced, and guarded by their own ETag', async () => {
    const before = await admin.call<VerificationFields>('GET', '/api/v1/verification');
    const trustEtag = await etagOf('/api/v1/trust');
    const set = await admin.call<VerificationFields>('PUT', '/api/v1/verification', {
      body: { ...before.body, mode: 'report' },
      headers: { 'if-match': before.headers.get('etag') ?? '' },
    });
    expect(set.body).toEqual({ ...before.body, mode: 'report' });
    expect(await status()).toBe(200);
    // Another section has changed, this one has not.
    const trust = await admin.call<TrustFields>('PUT', '/api/v1/trust', {
      body: { system: false, ca: [`${files}/root.crt`] },
      headers: { 'if-match': trustEtag },
    });
    expect(trust.body).toEqual({ system: false, ca: [`${files}/root.crt`], crl: [] });
    const stale = await admin.call<Refusal>('PUT', '/api/v1/trust', { body: {}, headers: { 'if-match': trustEtag } });
    expect(stale.status).toBe(412);
    await admin.call('PUT', '/api/v1/verification', { body: before.body });
    expect(await status()).toBe(200); // the root is trusted now

    const interception = await admin.call('PUT', '/api/v1/interception', {
      body: { passthrough: [`localhost:${origin.port}`, 'bank.example'] },
    });
    expect(interception.body).toEqual({
      mode: 'all',
      passthrough: [`localhost:${origin.port}`, 'bank.example'],
      unmatched: 'intercept',
    });
    const direct = await curl(origin.url, ['--proxy', daemon.proxy, '--cacert', `${files}/root.crt`]);
    expect(direct.status).toBe(200);
    await admin.call('PUT', '/api/v1/interception', { body: { passthrough: ['bank.example'] } });
  });

  test('what would not stand is refused, with nothing changed', async () => {
    const before = store();
    const rules = '/api/v1/verification/rules';
    for (const [status, method, path, body] of [
      [400, 'PUT', '/api/v1/verification', { mode: 'off' }],
      [400, 'PUT', '/api/v1/verification', { modus: 'report' }],
      [422, 'PUT', '/api/v1/trust', { ca: ['/nowhere.pem'] }],
      [422, 'PUT', '/api/v1/trust', { ca: [`${files}/alice.key`] }],
      [400, 'PUT', '/api/v1/trust', { ca: '/nowhere.pem' }],
      [400, 'PUT', '/api/v1/interception', { passthrough: ['https://a.example/'] }],
      [400, 'PUT', `${rules}/a.example/0`, { mode: 'report' }],
      [400, 'PUT', `${rules}/a.example/70000`, { mode: 'report' }],
      [400, 'PUT', `${rules}/a.example/http`, { mode: 'report' }],
      [400, 'PUT', `${rules}/..%2f..%2fetc/443`, { mode: 'report' }],
      [400, 'PUT', `${rules}/a.example/443`, { host: 'b.example' }],
      [400, 'PUT', `${rules}/a.example/443`, { pins: ['nonsense'] }],
      [422, 'PUT', `${rules}/a.example/443`, { trust: { ca: ['/nowhere.pem'] } }],
      [422, 'PUT', `${rules}/a.example/443`, { min_version: 'TLSv1.3', max_version: 'TLSv1.2' }],
    ] as const) {
      const refused = await admin.call<Refusal>(method, path, { body });
      expect(refused.status, `${path} ${JSON.stringify(body)} ${refused.body.detail}`).toBe(status);
    }
    const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const unreadable = await admin.call<Refusal>('POST', '/api/v1/trust/anchors', { body: { cert_pem: pem } });
    expect(unreadable).toMatchObject({ status: 422, body: { code: 'BAD_CONFIGURATION' } });
    const misspelt = await admin.call<Refusal>('PUT', `${rules}/a.example/443`, { body: { allow: ['CERT_EXPIRED'] } });
    expect(misspelt).toMatchObject({
      status: 422,
      body: { detail: expect.stringContaining('expected CERT_HAS_EXPIRED') as string },
    });
    expect(store()).toBe(before);
  });

  test('match says what a request would get, and why the others lost', async () => {
    const match = async (query: string) => (await admin.call<MatchAnswer>('GET', `/api/v1/match?${query}`)).body;
    const api = await match('authority=API.match.example.:443');
    expect(api).toMatchObject({
      authority: 'api.match.example:443',
      action: 'intercept',
      error: null,
      certificate: { name: 'new', reason: 'exact host and port', usable: true },
      verification: { mode: 'report', rule: '*.match.example:443', reason: 'wildcard *.match.example, port 443' },
    });
    expect(api.certificate.losers).toEqual([
      { name: 'wide', why: 'new has the closer host, api.match.example' },
      { name: 'old', why: 'shadowed by new, later in the file' },
      { name: 'hers', why: 'only for profile carol' },
      { name: 'off', why: 'disabled' },
    ]);
    expect(api.verification.losers).toEqual([{ name: 'api.match.example:8443', why: 'port 8443 is not 443' }]);
    expect((await match('authority=api.match.example&profile=carol')).certificate.name).toBe('hers');
    expect((await match('authority=api.match.example&certificate=none')).certificate).toMatchObject({ name: null });
    expect((await match('authority=api.match.example&verification=enforce')).verification).toMatchObject({
      mode: 'enforce',
      override: true,
    });
    expect(await match('authority=api.match.example&certificate=broken')).toMatchObject({
      action: 'refuse',
      error: { code: 'CLIENT_CERTIFICATE_UNKNOWN' },
    });
    expect(await match('authority=broken.example')).toMatchObject({
      certificate: { name: 'broken', usable: false, problems: [{ code: 'FILE_MISSING' }] },
      error: { code: 'CLIENT_CERTIFICATE_UNUSABLE' },
    });
    expect(await match('authority=bank.example')).toMatchObject({
      action: 'passthrough',
      why: 'interception.passthrough lists it',
    });
    for (const query of ['', 'authority=', 'authority=a%20b', 'authority=a.example:0', 'authority=a&x=1'])
      expect((await admin.call('GET', `/api/v1/match?${query}`)).status, query).toBe(400);
  });

  test('status and reload report a file with a mistake', async () => {
    const now = async () => (await admin.call<StatusAnswer>('GET', '/api/v1/status')).body;
    const before = await now();
    expect(before).toMatchObject({
      ready: true,
      home: daemon.home,
      store: { certificates: 6, enabled: 5, unusable: 1, rules: 2, verification: 'enforce', rejected: null },
    });
    expect(before.store.expiring.map(({ days_left }) => days_left)).toEqual([29, 29, 29, 29]);
    const good = store();
    writeFileSync(
      join(daemon.home, 'certificates.yaml'),
      good.replace('unmatched: intercept', 'unmatched: sometimes').replace('mode: report', 'mode: off'),
    );
    const refused = await admin.call<Refusal>('POST', '/api/v1/reload');
    expect([refused.status, refused.body.code, refused.body.problems?.length]).toEqual([409, 'BROKEN_FILE', 1]);
    expect((await now()).store.rejected?.problems).toMatchObject([
      { message: 'mode is "off"', line: expect.any(Number) },
    ]);
    writeFileSync(join(daemon.home, 'certificates.yaml'), good.replace('name: wide', 'name: wider'));
    const loaded = await admin.call('POST', '/api/v1/reload');
    expect(loaded.body).toMatchObject({
      added: ['wider'],
      removed: ['wide'],
      changed: [],
      sections: [],
      entries: 6,
      usable: 5,
    });
    expect((await now()).store).toMatchObject({ rejected: null, generation: before.store.generation + 1 });
  });

  test('what expires soon was announced, once each', async () => {
    await daemon.event('certificate.expiring', ({ name }) => name === 'wider');
    const logged = daemon.log.filter(({ event }) => event === 'certificate.expiring');
    expect(logged.map(({ name }) => String(name)).sort((a, b) => a.localeCompare(b))).toEqual([
      'hers',
      'new',
      'old',
      'wide',
      'wider',
    ]);
    expect(logged[0]).toMatchObject({
      subject: 'CN=alice',
      days_left: 29,
      threshold: 30,
      not_after: expect.any(String),
    });
  });

  test('each change is in the log with who made it', () => {
    const actions = daemon.log.filter(({ event }) => event === 'admin').map(({ action }) => action);
    expect(new Set(actions)).toEqual(
      new Set([
        'rule.added',
        'rule.changed',
        'rule.removed',
        'verification.changed',
        'trust.changed',
        'interception.changed',
        'reload',
      ]),
    );
    expect(
      daemon.log
        .filter(({ event }) => event === 'admin')
        .every(({ who, client }) => who === 'api' && typeof client === 'string'),
    ).toBe(true);
  });
});
