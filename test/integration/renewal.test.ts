/** A daemon that renews: what the origin, the log, the API, the metrics and the command line see of it. */
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { EntryAnswer } from '../../src/admin/schemas/certificate.ts';
import { adminClient, type Refusal } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type EstServer, estServer } from '../support/est-server.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { ago, ahead, type Authority, createPki, DAY, type Issued, type Pki } from '../support/pki.ts';
import { hasStepCa, stepCa } from '../support/step-ca.ts';

let pki: Pki;
let root: Authority;
let est: EstServer;
let origin: Origin;
let daemon: RunningDaemon | null = null;
const user = { name: 'alice', password: 'correct horse' };

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root();
  est = await estServer({ root, lifetimeMs: 30 * DAY, user });
  const server = await root.issue();
  origin = await nodeOrigin({
    key: server.keyPem,
    cert: server.certPem,
    ca: root.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  });
});
afterAll(async () => {
  await Promise.all([est.close(), origin.close()]);
});
afterEach(async () => {
  est.misbehave = null;
  await daemon?.stop();
  daemon = null;
});

/** A home with a certificate, its key and the root. */
function homeWith(issued: Issued): string {
  const home = temporaryDirectory();
  issued.write(home, 'me');
  root.write(home, 'root');
  return home;
}

const storeOf = (entry: string, more = '') => `version: 1
certificates:
  - { name: me, host: localhost, port: "*", ${entry} }
trust: { system: false, ca: [root.crt] }
${more}`;
const files = 'cert: me.crt, key: me.key';
const fresh = (): Promise<Issued> =>
  root.issue({ cn: 'me', freshKey: true, notBefore: ago(DAY), notAfter: ahead(20 * DAY) });
const due = (): Promise<Issued> =>
  root.issue({ cn: 'me', freshKey: true, notBefore: ago(9 * DAY), notAfter: ahead(DAY) });

async function start(issued: Issued, entry: string, more?: string): Promise<{ daemon: RunningDaemon; home: string }> {
  const home = homeWith(issued);
  daemon = await startDaemon({
    home,
    store: storeOf(entry, more),
    secrets: [user.password, issued.keyPem.slice(40, 80)],
  });
  return { daemon, home };
}

const seenBy = async (running: RunningDaemon): Promise<string | null> =>
  (await curl(origin.url, through(running))).json<Seen>().fingerprint256;

describe('by EST', () => {
  test('a certificate that is due is renewed at the start, and the origin sees the new one', async () => {
    const before = await due();
    const { daemon, home } = await start(before, `${files}, renew: { est: "${est.url}" }`);
    const renewed = await daemon.event('certificate.renewed');
    const after = est.issued.at(-1)?.x509.fingerprint256;
    expect(renewed).toMatchObject({
      name: 'me',
      via: 'est',
      fingerprint_before: before.x509.fingerprint256,
      fingerprint_after: after,
      level: 'info',
    });
    expect(await seenBy(daemon)).toBe(after);
    const connected = daemon.log.find(
      ({ event, authority }) => event === 'tls.connected' && authority === `localhost:${est.port}`,
    );
    expect(connected).toMatchObject({
      verification: { mode: 'enforce', rule: null, authorized: true },
      client_certificate: {
        sent: true,
        name: 'me',
        reason: 'renewal of me',
        fingerprint256: before.x509.fingerprint256,
      },
    });
    const admin = await adminClient(daemon);
    const { body } = await admin.call<EntryAnswer>('GET', '/api/v1/certificates/me');
    expect(body.renew).toEqual({ est: est.url });
    expect(body.renewal).toMatchObject({
      last_error: null,
      failures: 0,
      fingerprint_before: before.x509.fingerprint256,
      fingerprint_after: after,
    });
    expect(Date.parse(body.renewal?.next ?? '')).toBeGreaterThan(Date.now() + 15 * DAY);
    expect(await (await daemon.api('/metrics')).text()).toContain(
      'mtlsd_certificate_renewals_total{name="me",outcome="renewed"} 1',
    );
    expect(readFileSync(join(home, 'me.crt.previous'), 'utf8')).toBe(before.certPem);
    const shown = await runMtlsd(['cert', 'show', 'me', '--home', home]);
    expect(shown.stdout).toContain(`by EST ${est.url}`);
  });

  test('one that is not due is renewed when asked for: by the command line and by the API', async () => {
    const { daemon, home } = await start(await fresh(), `${files}, renew: { est: "${est.url}", rekey: false }`);
    const issued = est.issued.length;
    const rehearsed = await runMtlsd(['cert', 'renew', 'me', '--dry-run', '--home', home]);
    expect(rehearsed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^a renewal would work; nothing was changed/) as string,
    });
    expect(est.issued).toHaveLength(issued);
    const ran = await runMtlsd(['cert', 'renew', 'me', '--json', '--home', home]);
    expect(ran.code).toBe(0);
    const answer = JSON.parse(ran.stdout) as Record<string, unknown>;
    expect(answer).toMatchObject({
      renewed: true,
      dry_run: false,
      fingerprint_after: est.issued.at(-1)?.x509.fingerprint256,
    });
    // In force when it is acknowledged.
    expect(await seenBy(daemon)).toBe(answer['fingerprint_after']);
    est.lifetimeMs += DAY;
    const admin = await adminClient(daemon);
    const again = await admin.call<{ renewed: boolean }>('POST', '/api/v1/certificates/me/renew');
    expect(again).toMatchObject({ status: 200, body: { renewed: true } });
  });

  test('a CA that refuses: nothing changes, and all say so', async () => {
    est.misbehave = (response) =>
      void response.writeHead(403, { 'content-type': 'text/plain' }).end('quota is used up');
    const before = await due();
    const { daemon, home } = await start(before, `${files}, renew: { est: "${est.url}" }`);
    const failed = await daemon.event('certificate.renewal_failed');
    expect(failed).toMatchObject({
      level: 'warn',
      name: 'me',
      code: 'CA_REFUSED',
      failures: 1,
      message: expect.stringMatching(/answered 403: quota is used up$/) as string,
    });
    expect(await seenBy(daemon)).toBe(before.x509.fingerprint256);
    const ran = await runMtlsd(['cert', 'renew', 'me', '--home', home]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/answered 403: quota is used up/);
    const admin = await adminClient(daemon);
    const refused = await admin.call<Refusal>('POST', '/api/v1/certificates/me/renew');
    expect(refused).toMatchObject({ status: 502, body: { code: 'CA_REFUSED' } });
    expect((await admin.call<EntryAnswer>('GET', '/api/v1/certificates/me')).body.renewal).toMatchObject({
      failures: 3,
      last: null,
    });
    const doctor = await runMtlsd(['doctor', '--home', home]);
    expect(doctor.stdout).toMatch(/me could not be renewed: .*quota is used up/);
    expect(await (await daemon.api('/metrics')).text()).toContain(
      'mtlsd_certificate_renewals_total{name="me",outcome="failed"} 3',
    );
  });

  test('the server of the CA is verified in enforce, with any rule', async () => {
    const other = await pki.root({ cn: 'other' });
    const own = temporaryDirectory();
    other.write(own, 'other');
    const rules = 'verification: { mode: report, rules: [{ host: localhost, port: "*", mode: report }] }\n';
    const requests = est.requests.length;
    const { daemon } = await start(
      await due(),
      `${files}, renew: { est: "${est.url}", trust: ["${own}/other.crt"] }`,
      rules,
    );
    const failed = await daemon.event('certificate.renewal_failed');
    expect(failed).toMatchObject({
      code: 'CA_UNREACHABLE',
      message: expect.stringMatching(/certificate of localhost:\d+ was rejected/) as string,
    });
    expect(daemon.log.find(({ event }) => event === 'tls.failed')).toMatchObject({
      verification: { mode: 'enforce', authorized: false },
    });
    expect(est.requests).toHaveLength(requests);
  });

  test('an entry without renew: the answer says what to set', async () => {
    const { daemon } = await start(await fresh(), files);
    const admin = await adminClient(daemon);
    expect(await admin.call<Refusal>('POST', '/api/v1/certificates/me/renew')).toMatchObject({
      status: 409,
      body: { code: 'NO_RENEWAL' },
    });
    expect((await admin.call<EntryAnswer>('GET', '/api/v1/certificates/me')).body).toMatchObject({
      renew: null,
      renewal: null,
    });
    expect(await admin.call<Refusal>('POST', '/api/v1/certificates/nobody/renew')).toMatchObject({ status: 404 });
    const set = await admin.call<EntryAnswer>('PATCH', '/api/v1/certificates/me', {
      body: { renew: { est: est.url, after: '1/2' } },
    });
    expect(set).toMatchObject({ status: 200, body: { renew: { est: est.url, after: '1/2' } } });
    const both = await admin.call<Refusal>('PATCH', '/api/v1/certificates/me', {
      body: { renew: { est: est.url, step: est.url } },
    });
    expect(both).toMatchObject({ status: 422, body: { code: 'INVALID' } });
  });
});

describe('by a command', () => {
  const script = (home: string, text: string): void => {
    writeFileSync(join(home, 'renew.sh'), `#!/bin/sh\n${text}\n`);
    chmodSync(join(home, 'renew.sh'), 0o755);
  };

  test('that prints the new certificate and its key', async () => {
    const after = await root.issue({ cn: 'me', freshKey: true, notAfter: ahead(30 * DAY) });
    const { daemon, home } = await start(await fresh(), `${files}, renew: { command: [./renew.sh, argument] }`);
    writeFileSync(join(home, 'new.pem'), after.keyPem + after.certPem);
    script(home, 'cat new.pem');
    const ran = await runMtlsd(['cert', 'renew', 'me', '--home', home]);
    expect(ran).toMatchObject({ code: 0 });
    expect(await seenBy(daemon)).toBe(after.x509.fingerprint256);
    expect(daemon.log.find(({ event }) => event === 'certificate.renewed')).toMatchObject({ via: 'command' });
  });

  test('that writes the files itself, named in its environment', async () => {
    const after = await root.issue({ cn: 'me', freshKey: true, notAfter: ahead(30 * DAY) });
    const { daemon, home } = await start(await fresh(), `${files}, renew: { command: [./renew.sh] }`);
    after.write(home, 'new');
    script(home, 'cp new.crt "$MTLSD_CERT"; cp new.key "$MTLSD_KEY"; echo "$MTLSD_ENTRY $MTLSD_HOST" > told');
    expect(await runMtlsd(['cert', 'renew', 'me', '--home', home])).toMatchObject({ code: 0 });
    expect(await seenBy(daemon)).toBe(after.x509.fingerprint256);
    expect(readFileSync(join(home, 'told'), 'utf8')).toBe('me localhost\n');
  });

  test.each([
    ['fails', 'exit 3', 'COMMAND_FAILED', /failed with exit code 3/],
    ['does nothing', 'true', 'COMMAND_FAILED', /printed no certificate and changed no file/],
    ['prints damaged PEM', 'echo "-----BEGIN CERTIFICATE-----"', 'COMMAND_FAILED', /printed PEM that is damaged/],
    ['prints a certificate for another key', 'cat root.crt', 'KEY_MISMATCH', /not for the key/],
    [
      'writes a certificate that does not fit',
      'cp other.crt "$MTLSD_CERT"',
      'CERTIFICATE_UNUSABLE',
      /is not the key of/,
    ],
    [
      'writes a pair for another subject',
      'cp other.crt "$MTLSD_CERT"; cp other.key "$MTLSD_KEY"',
      'SUBJECT_DIFFERS',
      /for CN=you, not CN=me/,
    ],
  ])('that %s: the files are as they were', async (_name, text, code, message) => {
    const before = await fresh();
    const { daemon, home } = await start(before, `${files}, renew: { command: [./renew.sh] }`);
    (await root.issue({ cn: 'you', freshKey: true, notAfter: ahead(30 * DAY) })).write(home, 'other');
    script(home, text);
    const admin = await adminClient(daemon);
    const refused = await admin.call<Refusal>('POST', '/api/v1/certificates/me/renew');
    expect(refused.body).toMatchObject({ code, detail: expect.stringMatching(message) as string });
    expect(readFileSync(join(home, 'me.crt'), 'utf8')).toBe(before.certPem);
    expect(readFileSync(join(home, 'me.key'), 'utf8')).toBe(before.keyPem);
    await daemon.api('/api/v1/reload', { method: 'POST' });
    expect(await seenBy(daemon)).toBe(before.x509.fingerprint256);
  });
});

test('files of a Kubernetes volume are used, and reported as not renewable', async () => {
  const issued = await due();
  const home = homeWith(issued);
  const volume = join(home, 'secret');
  mkdirSync(join(volume, '..2026'), { recursive: true });
  issued.write(join(volume, '..2026'), 'tls');
  symlinkSync('..2026', join(volume, '..data'));
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, join(volume, name));
  const entry = `cert: secret/tls.crt, key: secret/tls.key, renew: { est: "${est.url}" }`;
  daemon = await startDaemon({ home, store: storeOf(entry) });
  const problem = await daemon.event('store.problem');
  expect(problem).toMatchObject({
    code: 'RENEWAL_IMPOSSIBLE',
    severity: 'warning',
    message: expect.stringMatching(/is in a Kubernetes volume, which is read-only/) as string,
    hint: expect.stringMatching(/renew it where it comes from/) as string,
  });
  expect(await seenBy(daemon)).toBe(issued.x509.fingerprint256);
  const admin = await adminClient(daemon);
  const { body } = await admin.call<EntryAnswer>('GET', '/api/v1/certificates/me');
  expect(body.renewal).toMatchObject({ next: null, last_error: problem['message'] });
  const refused = await admin.call<Refusal>('POST', '/api/v1/certificates/me/renew?dry_run=true');
  expect(refused).toMatchObject({ status: 409, body: { code: 'FILES_NOT_WRITABLE' } });
  expect(daemon.log.filter(({ event }) => event.startsWith('certificate.renew'))).toEqual([]);
});

describe('a first certificate', () => {
  test('from an EST server, with a password from a file; it renews itself from then on', async () => {
    const home = temporaryDirectory();
    root.write(home, 'root');
    writeFileSync(join(home, 'password'), `${user.password}\n`, { mode: 0o600 });
    daemon = await startDaemon({
      home,
      store: 'version: 1\ntrust: { system: false, ca: [root.crt] }\n',
      secrets: [user.password],
    });
    const enroll = (...more: string[]) =>
      runMtlsd([
        'cert',
        'enroll',
        'localhost:*',
        '--est',
        est.url,
        '--user',
        user.name,
        '--home',
        home,
        '--name',
        'corp',
        ...more,
      ]);
    expect(await enroll('--password-command', 'echo', 'wrong')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/answered 401: wrong user or password/) as string,
    });
    const ran = await enroll('--password-file', join(home, 'password'), '--san', 'alice.example', '192.0.2.7');
    expect(ran).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^enrolled corp for localhost, any port/) as string,
    });
    const { x509 } = est.issued.at(-1) as Issued;
    expect([x509.subject, x509.subjectAltName]).toEqual(['CN=alice', 'DNS:alice.example, IP Address:192.0.2.7']);
    expect(await seenBy(daemon)).toBe(x509.fingerprint256);
    expect(statSync(join(home, 'certs/corp.key')).mode & 0o777).toBe(0o600);
    est.lifetimeMs += DAY;
    expect(await runMtlsd(['cert', 'renew', 'corp', '--home', home])).toMatchObject({ code: 0 });
    expect(await seenBy(daemon)).not.toBe(x509.fingerprint256);
    const again = await enroll('--password-file', join(home, 'password'));
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/the name corp is taken/) as string });
  });

  test('without a daemon, and from a CA that is not trusted', async () => {
    const home = temporaryDirectory();
    root.write(home, 'root');
    const enroll = (...more: string[]) =>
      runMtlsd([
        'cert',
        'enroll',
        'api.example',
        '--est',
        est.url,
        '--user',
        user.name,
        '--password-command',
        'echo',
        user.password,
        '--home',
        home,
        ...more,
      ]);
    const refused = await enroll();
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/was rejected: .*--trust FILE/s) as string,
    });
    expect(readdirSync(join(home, 'certs'))).toEqual([]);
    expect(await enroll('--trust', join(home, 'root.crt'))).toMatchObject({ code: 0 });
    const list = await runMtlsd(['cert', 'list', '--json', '--home', home]);
    expect(JSON.parse(list.stdout)).toMatchObject([
      { name: 'api.example', usable: true, renew: { est: est.url, trust: [join(home, 'root.crt')] } },
    ]);
  });

  test.each([
    [[], /no CA is given, or two/],
    [['--est', 'https://a.example', '--step', 'https://a.example'], /no CA is given, or two/],
    [['--est', 'http://a.example', '--user', 'x'], /is not the https URL of a CA/],
    [['--est', 'https://a.example'], /no user is given/],
    [['--est', 'https://a.example', '--user', 'x'], /no password is given/],
    [['--step', 'https://a.example'], /no token is given/],
  ])('%j: the error says what is missing', async (args, message) => {
    const ran = await runMtlsd(['cert', 'enroll', 'api.example', ...args, '--home', temporaryDirectory()]);
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(message) as string });
  });

  test.skipIf(!hasStepCa())(
    'from a step-ca, with a one-time token',
    async () => {
      const issuer = await root.intermediate();
      const ca = await stepCa(root, issuer);
      const home = temporaryDirectory();
      root.write(home, 'root');
      daemon = await startDaemon({ home, store: 'version: 1\ntrust: { system: false, ca: [root.crt] }\n' });
      const token = ca.token('alice', ['alice.example']);
      const ran = await runMtlsd([
        'cert',
        'enroll',
        'localhost:*',
        '--step',
        ca.url,
        '--token-command',
        'echo',
        token,
        '--home',
        home,
      ]);
      expect(ran).toMatchObject({ code: 0 });
      const seen = (await curl(origin.url, through(daemon))).json<Seen>();
      expect(seen.client).toBe('alice');
      // A renewal now would end in the same second, and so not later.
      const rehearsed = ['cert', 'renew', 'localhost-any-port', '--dry-run', '--home', home];
      expect(await runMtlsd(rehearsed)).toMatchObject({ code: 0 });
      await ca.close();
      // With the time that it takes to build step-ca.
    },
    240_000,
  );
});
