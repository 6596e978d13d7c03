import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AdminClient, adminClient, type Refusal } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { type Authority, createPki } from '../support/pki.ts';

interface Anchor {
  readonly file: string;
  readonly everywhere: boolean;
  readonly rules: readonly string[];
  readonly certificates: readonly { readonly subject: string; readonly fingerprint256: string }[];
}

/** What the page asks of the API beyond the command line. */
describe('the API for the page', () => {
  const files = temporaryDirectory();
  let root: Authority;
  let unknown: Authority;
  let origin: Origin;
  let silent: Origin;
  let daemon: RunningDaemon;
  let admin: AdminClient;

  beforeAll(async () => {
    const pki = await createPki();
    root = await pki.root({ cn: 'known root' });
    unknown = await pki.root({ cn: 'unknown root' });
    root.write(files, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    const server = await unknown.issue({ cn: 'localhost' });
    origin = await nodeOrigin({ key: server.keyPem, cert: server.chainPem + unknown.certPem });
    silent = await nodeOrigin({ key: server.keyPem, cert: server.certPem });
  });
  beforeAll(async () => {
    daemon = await startDaemon({ store: start() });
    admin = await adminClient(daemon);
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close(), silent.close()]);
  });

  const start = (): string => `# by hand
version: 1
trust: { system: false, ca: [${files}/root.crt] }
certificates:
  # the first
  - { name: first, host: a.example, cert: ${files}/alice.crt, key: ${files}/alice.key }
  # the second, with its passphrase in the file
  - { name: second, host: b.example, cert: ${files}/alice.crt, key: ${files}/alice.key, passphrase: "in the file" }
  - { name: third, host: c.example, cert: ${files}/alice.crt, key: ${files}/alice.key }
`;
  const text = (): string => readFileSync(join(daemon.home, 'certificates.yaml'), 'utf8');
  const kept = (): string[] => (existsSync(join(daemon.home, 'files')) ? readdirSync(join(daemon.home, 'files')) : []);
  const status = async () => (await curl(`${origin.url}/`, through(daemon))).status;

  describe('a CA', () => {
    test('is taken from what the server sends now, by its fingerprint, for that host alone', async () => {
      expect(await status()).toBe(502);
      const authority = `localhost:${origin.port}`;
      const { fingerprint256 } = unknown.x509;
      const wrong = await admin.call<Refusal>('POST', '/api/v1/trust/anchors', {
        body: { authority, fingerprint256: root.x509.fingerprint256, host: 'localhost', port: origin.port },
      });
      expect([wrong.status, wrong.body.code]).toEqual([422, 'NOT_SENT']);
      const added = await admin.call<Anchor>('POST', '/api/v1/trust/anchors', {
        body: { authority, fingerprint256, host: 'localhost', port: origin.port },
      });
      expect(added.status).toBe(201);
      expect(added.body).toMatchObject({ everywhere: false, rules: [authority], certificates: [{ fingerprint256 }] });
      expect(statSync(join(daemon.home, added.body.file)).mode & 0o777).toBe(0o600);
      expect(await status()).toBe(200);
      // The rule's trust takes the place of the one for every host, which goes along.
      const rule = `/api/v1/verification/rules/localhost/${origin.port}`;
      expect((await admin.call<object>('GET', rule)).body).toMatchObject({
        trust: { system: false, ca: [`${files}/root.crt`, added.body.file] },
      });
      // It goes with the last place that names it.
      await admin.call('DELETE', rule);
      expect(kept()).toEqual([]);
      expect(await status()).toBe(502);
    });

    test('that the server does not send has to be uploaded', async () => {
      const { fingerprint256 } = unknown.x509;
      const refused = await admin.call<Refusal>('POST', '/api/v1/trust/anchors', {
        body: { authority: `localhost:${silent.port}`, fingerprint256 },
      });
      expect([refused.status, refused.body.code]).toEqual([422, 'NOT_SENT']);
    });

    test('is uploaded for every host, listed with what it says, and removed', async () => {
      const added = await admin.call<Anchor>('POST', '/api/v1/trust/anchors', { body: { cert_pem: unknown.certPem } });
      expect(added.body).toMatchObject({ everywhere: true, rules: [], certificates: [{ subject: 'CN=unknown root' }] });
      expect(await status()).toBe(200);
      const { body } = await admin.call<{ anchors: Anchor[] }>('GET', '/api/v1/trust/anchors');
      expect(body.anchors.map(({ certificates }) => certificates[0]?.subject)).toEqual([
        'CN=known root',
        'CN=unknown root',
      ]);
      await admin.call('PUT', '/api/v1/trust', { body: { system: false, ca: [`${files}/root.crt`] } });
      expect(kept()).toEqual([]);
    });

    test('is a CA: a leaf, a key and anything else are refused, and nothing stays behind', async () => {
      const leaf = await root.issue({ cn: 'leaf.example' });
      for (const [body, expected] of [
        [{ cert_pem: leaf.certPem }, 422],
        [{ cert_pem: leaf.keyPem }, 422],
        [{ cert_pem: 'nothing' }, 422],
        [{}, 400],
        [{ authority: 'localhost:1' }, 400],
        [{ cert_pem: unknown.certPem, authority: 'localhost:1' }, 400],
        [{ cert_pem: unknown.certPem, host: 'a b' }, 400],
      ] as const)
        expect((await admin.call('POST', '/api/v1/trust/anchors', { body })).status).toBe(expected);
      expect(kept()).toEqual([]);
    });
  });

  describe('a removal', () => {
    test('is undone to the letter: comments, order, and a passphrase in the file', async () => {
      const before = text();
      await admin.call('DELETE', '/api/v1/certificates/second');
      expect(text()).not.toContain('in the file');
      const back = await admin.call<{ name: string }>('POST', '/api/v1/certificates/second/restore');
      expect([back.status, back.body.name]).toEqual([200, 'second']);
      expect(text()).toBe(before);
      expect((await admin.call('POST', '/api/v1/certificates/second/restore')).status).toBe(404);
      expect(daemon.log.findLast(({ event }) => event === 'admin')).toMatchObject({ action: 'certificate.restored' });
    });

    test('restores uploaded files, which were deleted', async () => {
      const pfx = join(files, 'alice.p12');
      const source = ['-in', `${files}/alice.crt`, '-inkey', `${files}/alice.key`];
      execFileSync('openssl', ['pkcs12', '-export', ...source, '-out', pfx, '-passout', 'pass:secret']);
      const body = { name: 'up', host: 'up.example', pfx_base64: readFileSync(pfx, 'base64'), passphrase: 'secret' };
      await admin.call('POST', '/api/v1/certificates', { body });
      const uploaded = kept().sort();
      expect(uploaded).toHaveLength(2);
      await admin.call('DELETE', '/api/v1/certificates/up');
      expect(kept()).toEqual([]);
      const back = await admin.call<{ usable: boolean }>('POST', '/api/v1/certificates/up/restore');
      expect(back.body.usable).toBe(true);
      expect(kept().sort()).toEqual(uploaded);
      for (const file of uploaded) expect(statSync(join(daemon.home, 'files', file)).mode & 0o777).toBe(0o600);
      await admin.call('DELETE', '/api/v1/certificates/up');
    });

    test('is not undone over a later change, and loses nothing then', async () => {
      await admin.call('DELETE', '/api/v1/certificates/third');
      const later = `${text()}# a later thought\n`;
      writeFileSync(join(daemon.home, 'certificates.yaml'), later);
      const refused = await admin.call<Refusal>('POST', '/api/v1/certificates/third/restore');
      expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
      expect(text()).toBe(later);
      expect(kept()).toEqual([]);
    });
  });

  test('the stream says that another store is in force, and that the file has a mistake', async () => {
    const events = await openEvents(daemon);
    const path = join(daemon.home, 'certificates.yaml');
    const before = text();
    writeFileSync(path, `${before}# once more\n`);
    const changed = await events.next(({ event }) => event === 'store');
    expect(changed.data).toEqual({ generation: expect.any(Number), rejected: false });
    writeFileSync(path, `${before}nonsense: 1\n`);
    expect((await events.next(({ event }) => event === 'store')).data).toMatchObject({ rejected: true });
    writeFileSync(path, before);
    expect((await events.next(({ event }) => event === 'store')).data).toMatchObject({ rejected: false });
    events.close();
  });

  test('the status says when the store was loaded, where the bundle is, and whether clients need a password', async () => {
    const { body } = await admin.call<{ store: { loaded: string }; ca: { bundle: string } }>('GET', '/api/v1/status');
    expect(Date.parse(body.store.loaded)).toBeLessThanOrEqual(Date.now());
    expect(body).toMatchObject({ ca: { bundle: join(daemon.home, 'ca/bundle.pem') }, password_required: false });
  });
});
