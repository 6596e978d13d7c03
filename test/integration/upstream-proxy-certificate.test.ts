/** A client certificate towards an https proxy on the way out. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type EstServer, estServer } from '../support/est-server.ts';
import { nodeOrigin, opensslOrigin, type Origin, type ProcessOrigin, type Seen } from '../support/origins.ts';
import { ago, type Authority, createPki, DAY, type Pki } from '../support/pki.ts';

const files = temporaryDirectory();
const user = { name: 'alice', password: 'correct horse' };
let pki: Pki;
let root: Authority;
let origin: Origin;
let est: EstServer;
let proxy: { readonly port: number; readonly seen: string[]; close(): void };
let daemon: RunningDaemon;
/** A server that refuses in the handshake, with an alert, as OpenSSL, nginx and Go do. */
let strict: Record<'tls1_2' | 'tls1_3', ProcessOrigin>;

/** Demands a certificate of the root, and leads to the origin, or for `ca.example` to the EST server. */
async function demandingProxy(key: string, cert: string): Promise<typeof proxy> {
  const seen: string[] = [];
  const server = createServer({ key, cert, ca: root.certPem, requestCert: true, rejectUnauthorized: true });
  const clientOf = (socket: unknown): string => String((socket as TLSSocket).getPeerCertificate().subject.CN);
  server.on('connect', (request: IncomingMessage, socket: TLSSocket) => {
    seen.push(`CONNECT ${request.url} ${clientOf(socket)}`);
    const port = request.url?.startsWith('ca.example') ? est.port : origin.port;
    const upstream = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    for (const side of [upstream, socket]) side.on('error', () => {});
    socket.pipe(upstream).pipe(socket);
  });
  server.on('request', (request, response) => {
    seen.push(`${request.method} ${request.url} ${clientOf(request.socket)}`);
    response.end('by the proxy\n');
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root();
  root.write(files, 'root');
  (await root.issue({ cn: 'gateway', eku: ['clientAuth'], freshKey: true })).write(files, 'gateway');
  (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
  (await root.issue({ cn: 'old', notBefore: ago(2 * DAY), notAfter: ago(DAY) })).write(files, 'old');
  const stranger = await pki.root({ cn: 'another root' });
  (await stranger.issue({ cn: 'stranger', eku: ['clientAuth'] })).write(files, 'stranger');
  const server = await root.issue({ cn: 'api.example', sans: ['api.example', 'localhost'] });
  server.write(files, 'server');
  origin = await nodeOrigin({
    key: server.keyPem,
    cert: server.chainPem,
    ca: root.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  });
  est = await estServer({ root, lifetimeMs: 30 * DAY, user });
  proxy = await demandingProxy(server.keyPem, server.chainPem);
  const refusing = (version: string): Promise<ProcessOrigin> =>
    opensslOrigin([
      ...['-cert', `${files}/server.crt`, '-key', `${files}/server.key`, '-CAfile', `${files}/root.crt`],
      ...['-Verify', '1', '-verify_return_error', `-${version}`],
    ]);
  strict = { tls1_2: await refusing('tls1_2'), tls1_3: await refusing('tls1_3') };
  const rule = (port: number, host: string, more: string): string =>
    `  - { url: "https://localhost:${port}", ca: ${files}/root.crt, hosts: ["${host}"]${more} }\n`;
  const stranger1 = `, cert: ${files}/stranger.crt, key: ${files}/stranger.key`;
  daemon = await startDaemon({
    store: `version: 1
certificates: [{ name: alice, host: "*", port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
`,
    settings: `upstream_proxy:
${rule(proxy.port, 'api.example', `, cert: ${files}/gateway.crt, key: ${files}/gateway.key`)}${rule(proxy.port, 'none.example', '')}${rule(strict.tls1_2.port, 'refused12.example', stranger1)}${rule(strict.tls1_3.port, 'refused13.example', stranger1)}${rule(strict.tls1_3.port, 'none13.example', '')}${rule(strict.tls1_2.port, 'none12.example', '')}`,
  });
});
afterAll(async () => {
  proxy.close();
  await Promise.all([daemon.stop(), origin.close(), est.close(), strict.tls1_2.close(), strict.tls1_3.close()]);
});

test('the proxy gets its certificate, and the origin the one of its entry', async () => {
  const result = await curl('https://api.example/', through(daemon));
  expect(result.json<Seen>()).toMatchObject({ client: 'alice' });
  expect(proxy.seen).toContain('CONNECT api.example:443 gateway');
});

test('plain HTTP is asked of the proxy with the same certificate', async () => {
  expect((await curl('http://api.example/plain', ['--proxy', daemon.proxy])).body).toBe('by the proxy\n');
  expect(proxy.seen).toContain('GET http://api.example/plain gateway');
});

describe('a proxy that does not let it in says so', () => {
  const refused = /refused the client certificate CN=stranger of upstream_proxy: .*alert 48 unknown_ca/;
  const required = /requires a client certificate: /;
  test.each([
    ['https://refused12.example/', refused],
    ['https://refused13.example/', refused],
    ['http://refused12.example/', refused],
    ['http://refused13.example/', refused],
    ['https://none12.example/', required],
    ['https://none13.example/', required],
    ['http://none13.example/', required],
    // Node's servers close without an alert.
    ['https://none.example/', required],
  ])('%s', async (url, sentence) => {
    const result = await curl(url, [...through(daemon)]);
    expect(result.status).toBe(502);
    expect(result.headers['proxy-status']).toContain('UPSTREAM_PROXY_FAILED');
    expect(result.body).toMatch(sentence);
    expect(result.body).toMatch(
      sentence === required ? /upstream_proxy: \{ cert, key \}/ : /ask its operator which CAs it accepts/,
    );
  });
});

describe('what the settings name is checked at the start', () => {
  const url = 'https://localhost:1';
  test.each([
    [
      'a key of another certificate',
      `cert: ${files}/gateway.crt, key: ${files}/alice.key`,
      /upstream_proxy\.cert: KEY_MISMATCH: .*gateway/,
    ],
    [
      'an expired certificate',
      `cert: ${files}/old.crt, key: ${files}/old.key`,
      /upstream_proxy\.cert: CERTIFICATE_EXPIRED: CN=old expired .*replace its files/s,
    ],
    ['a file that is missing', `cert: ${files}/no.crt`, /upstream_proxy\.cert: FILE_MISSING: .*no\.crt/],
    ['no PFX', `pfx: ${files}/gateway.crt`, /upstream_proxy\.pfx: WRONG_KIND: /],
    ['a key alone', `key: ${files}/gateway.key`, /upstream_proxy\.key: there is no certificate with it/],
    ['both kinds', `cert: a.crt, pfx: a.p12`, /upstream_proxy\.cert: a PFX holds certificate and key/],
  ])('%s', async (_what, fields, message) => {
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), `upstream_proxy: { url: "${url}", ${fields} }\n`);
    const ran = await runMtlsd(['start', '--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(message) as string });
  });

  test('a certificate for a proxy that does not speak TLS', async () => {
    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), `upstream_proxy: { url: "http://localhost:1", cert: a.crt }\n`);
    const ran = await runMtlsd(['start', '--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(/is sent to an https proxy only/) as string });
  });
});

describe('files that change while the daemon runs', () => {
  const at = (name: string): string => join(files, `follow.${name}`);
  const show = async (cn: string): Promise<void> => {
    const { keyPem, certPem } = await root.issue({ cn, eku: ['clientAuth'], freshKey: true });
    writeFileSync(at('key'), keyPem, { mode: 0o600 });
    writeFileSync(at('crt'), certPem);
  };
  let port = 100;
  /** On a connection of its own: each authority has one. */
  const shown = async (): Promise<string | undefined> => {
    const url = `http://api.example:${++port}/`;
    await curl(url, ['--proxy', following.proxy]);
    return proxy.seen
      .find((line) => line.startsWith(`GET ${url} `))
      ?.split(' ')
      .at(-1);
  };
  let following: RunningDaemon;

  beforeAll(async () => {
    await show('first');
    following = await startDaemon({
      settings: `upstream_proxy: { url: "https://localhost:${proxy.port}", ca: ${files}/root.crt, cert: ${at('crt')}, key: ${at('key')} }\n`,
    });
  });
  afterAll(() => following.stop());

  test('are shown to the proxy at the next connection', async () => {
    expect(await shown()).toBe('first');
    await show('second');
    const changed = await following.event('proxy.changed', ({ subject }) => subject === 'CN=second');
    expect(changed).toMatchObject({ proxy: `https://localhost:${proxy.port}`, fingerprint256: expect.any(String) });
    expect(await shown()).toBe('second');
  });

  test('change nothing where they can not be used, and are used once they can', async () => {
    const stays = (why: RegExp) =>
      following.event(
        'daemon.warning',
        ({ message }) => why.test(String(message)) && /the files before stay in use/.test(String(message)),
      );
    writeFileSync(at('crt'), 'nothing');
    await stays(/^upstream_proxy\.cert: FORMAT_UNKNOWN: /);
    expect(await shown()).toBe('second');
    writeFileSync(at('crt'), readFileSync(`${files}/old.crt`));
    writeFileSync(at('key'), readFileSync(`${files}/old.key`));
    await stays(/^upstream_proxy\.cert: CERTIFICATE_EXPIRED: CN=old expired /);
    expect(await shown()).toBe('second');
    await show('third');
    await following.event('proxy.changed', ({ subject }) => subject === 'CN=third');
    expect(await shown()).toBe('third');
  });
});

test('a first certificate is asked for through the same proxy', async () => {
  const home = temporaryDirectory();
  writeFileSync(join(home, 'password'), user.password, { mode: 0o600 });
  for (const name of ['gateway.crt', 'gateway.key', 'root.crt'])
    writeFileSync(join(home, name), readFileSync(join(files, name)), { mode: 0o600 });
  writeFileSync(
    join(home, 'mtlsd.yaml'),
    `upstream_proxy: { url: "https://localhost:${proxy.port}", ca: root.crt, cert: gateway.crt, key: gateway.key }\n`,
  );
  const url = `https://ca.example${new URL(est.url).pathname}`;
  const args = ['--est', url, '--user', user.name, '--password-file', join(home, 'password')];
  const trusted = ['--trust', join(home, 'root.crt'), '--home', home];
  const ran = await runMtlsd(['cert', 'enroll', 'api.example', ...args, ...trusted]);
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringMatching(/^enrolled api\.example/) as string });
  expect(proxy.seen).toContain('CONNECT ca.example:443 gateway');
  expect(est.issued).toHaveLength(1);
});
