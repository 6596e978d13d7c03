import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsProxy } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

interface Hop {
  readonly port: number;
  readonly targets: string[];
  readonly fields: IncomingMessage['headers'][];
  close(): void;
}

describe('another proxy on the way out', () => {
  const files = temporaryDirectory();
  let origin: Origin;
  let hop: Hop;
  let secure: Hop;
  let daemon: RunningDaemon;

  /** A forward proxy as companies have them; every name resolves to the origin. */
  async function startHop(tls: { key: string; cert: string } | null): Promise<Hop> {
    const targets: string[] = [];
    const fields: IncomingMessage['headers'][] = [];
    const sockets = new Set<Duplex>();
    const server = tls ? createTlsProxy(tls) : createServer();
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      targets.push(request.url ?? '');
      fields.push(request.headers);
      sockets.add(socket);
      socket.on('error', () => {});
      const [host] = (request.url ?? '').split(':');
      if (host === 'silent.example') return;
      if (host === 'garbage.example') return void socket.end('not HTTP\r\n\r\n');
      if (host === 'closed.example') return void socket.end();
      if (host === 'denied.example') return void socket.end('HTTP/1.1 403 Forbidden by policy\r\n\r\n');
      if (host === 'down.example') return void socket.end('HTTP/1.1 504 Gateway Timeout\r\n\r\n');
      if (request.headers['proxy-authorization'] !== `Basic ${Buffer.from('user:canary-proxy').toString('base64')}`)
        return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
      const upstream = connect(origin.port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\nX-Hop: 1\r\n\r\n'));
      upstream.on('error', () => socket.destroy());
      socket.pipe(upstream).pipe(socket);
    });
    server.on('request', (request, response) => {
      targets.push(`${request.method} ${request.url}`);
      fields.push(request.headers);
      response.end('by the proxy\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      port: (server.address() as AddressInfo).port,
      targets,
      fields,
      close: () => {
        server.close();
        server.closeAllConnections();
        for (const socket of sockets) socket.destroy();
      },
    };
  }

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    const server = await root.issue({
      cn: 'api.example',
      sans: ['api.example', 'secure.example', 'localhost', '127.0.0.1'],
    });
    origin = await nodeOrigin({
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    hop = await startHop(null);
    secure = await startHop({ key: server.keyPem, cert: server.chainPem });
    daemon = await startDaemon({
      store: `version: 1
certificates: [{ name: alice, host: "*", port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
`,
      settings: `
upstream_proxy:
  - { url: "http://127.0.0.1:${hop.port}", credentials: { env: HOP }, no_proxy: [direct.example, "*.direct.example"] }
  - { url: "https://localhost:${secure.port}", credentials: { env: HOP }, ca: ${files}/root.crt, hosts: [secure.example] }
  - { url: "http://127.0.0.1:${hop.port}", hosts: [anonymous.example] }
  - { url: "http://127.0.0.1:1", hosts: [unreachable.example] }
  - { url: "https://localhost:${secure.port}", hosts: [untrusted.example] }
timeouts: { connect: 1s }
`,
      env: { HOP: 'user:canary-proxy' },
    });
  });
  afterAll(async () => {
    hop.close();
    secure.close();
    await Promise.all([daemon.stop(), origin.close()]);
  });

  test('the client certificate goes to the origin through it', async () => {
    const result = await curl('https://api.example/through', through(daemon));
    expect(result.json<Seen>()).toMatchObject({ client: 'alice', servername: 'api.example' });
    expect(hop.targets).toContain('api.example:443');
    const record = await daemon.event('tls.connected', (line) => line.authority === 'api.example:443');
    // Whose address the other end of the socket has is the proxy's, not the server's.
    expect(record).toMatchObject({ via: `http://127.0.0.1:${hop.port}`, address: null });
    const { stdout } = await runMtlsd(['probe', 'https://api.example/', '--no-ciphers', '--home', daemon.home]);
    expect(stdout).toContain(`api.example:443 (by way of http://127.0.0.1:${hop.port}) speaks`);
  });

  test('by a proxy that itself speaks TLS', async () => {
    expect((await curl('https://secure.example/', through(daemon))).json<Seen>().client).toBe('alice');
    expect(secure.targets).toEqual(['secure.example:443']);
  });

  test('plain HTTP is asked of the proxy with the whole URI', async () => {
    const result = await curl('http://api.example/plain?q', ['--proxy', daemon.proxy]);
    expect(result.body).toBe('by the proxy\n');
    expect(hop.targets).toContain('GET http://api.example/plain?q');
    expect(hop.fields.at(-1)).toMatchObject({
      host: 'api.example',
      'proxy-authorization': expect.stringContaining('Basic '),
    });
  });

  test('loopback and no_proxy go straight', async () => {
    const before = hop.targets.length;
    expect((await curl(`https://localhost:${origin.port}/`, through(daemon))).status).toBe(200);
    await curl('https://a.direct.example/', through(daemon));
    expect(hop.targets.length).toBe(before);
  });

  test.each([
    ['anonymous.example', 'UPSTREAM_PROXY_AUTHENTICATION', /requires credentials \(407\)/],
    ['denied.example', 'UPSTREAM_PROXY_FAILED', /403 Forbidden by policy/],
    ['down.example', 'UPSTREAM_PROXY_FAILED', /504 Gateway Timeout/],
    ['garbage.example', 'UPSTREAM_PROXY_FAILED', /not HTTP/],
    ['closed.example', 'UPSTREAM_PROXY_FAILED', /closed the connection/],
    ['silent.example', 'CONNECTION_TIMEOUT', /did not answer CONNECT in time/],
    [
      'untrusted.example',
      'UPSTREAM_PROXY_FAILED',
      /can't be used: the certificate of \S+ was rejected: the server sent no issuer for its certificate/,
    ],
    ['unreachable.example', 'UPSTREAM_PROXY_FAILED', /can't be used: .*refused/],
  ])('%s: %s', async (host, code, sentence) => {
    const result = await curl(`https://${host}/`, through(daemon));
    expect(result.status).toBe(code === 'CONNECTION_TIMEOUT' ? 504 : 502);
    expect(result.headers['proxy-status']).toContain(code);
    expect(result.body).toMatch(sentence);
  });

  test('is taken from the environment where the settings name none', async () => {
    const inherited = {
      store: `version: 1
certificates: [{ name: alice, host: "*", port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
`,
      env: {
        HTTPS_PROXY: `http://user:canary-proxy@127.0.0.1:${hop.port}`,
        NO_PROXY: 'localhost, .direct.example,10.0.0.0/8',
        https_proxy: undefined,
        no_proxy: undefined,
      },
      secrets: ['canary-proxy'],
    };
    const other = await startDaemon(inherited);
    const used = `http://127.0.0.1:${hop.port} (from HTTPS_PROXY)`;
    expect(await other.event('daemon.ready')).toMatchObject({ upstream_proxy: [used] });
    expect((await runMtlsd(['status', '--home', other.home])).stdout).toContain(`upstream      ${used}\n`);
    expect((await curl('https://api.example/', through(other))).json<Seen>().client).toBe('alice');
    const before = hop.targets.length;
    for (const host of ['direct.example', 'a.direct.example']) await curl(`https://${host}/`, through(other));
    expect(hop.targets.length).toBe(before);
    await other.stop();
    // The settings say none.
    const none = await startDaemon({ ...inherited, settings: 'upstream_proxy: []\n' });
    expect((await none.event('daemon.ready')).upstream_proxy).toBeUndefined();
    await none.stop();
  });

  test('from the environment is not used where it leads to this daemon, or nowhere', async () => {
    const home = temporaryDirectory();
    for (const [env, why] of [
      [
        { HTTPS_PROXY: 'http://127.0.0.1:9', NODE_EXTRA_CA_CERTS: `${home}/ca/ca.pem` },
        /^HTTPS_PROXY leads to this daemon/,
      ],
      [{ HTTPS_PROXY: 'socks5://user:canary-proxy@a.example' }, /^HTTPS_PROXY is not an http or https URL;/],
    ] as const) {
      const other = await startDaemon({ home, env: { ...env, https_proxy: undefined }, secrets: ['canary-proxy'] });
      expect((await other.event('daemon.warning')).message).toMatch(why);
      await other.stop();
    }
  });

  test('its credentials are sent to no other peer', async () => {
    expect(JSON.stringify(origin.seen)).not.toContain(Buffer.from('user:canary-proxy').toString('base64'));
    expect(JSON.stringify(daemon.log)).not.toMatch(/canary-proxy|dXNlcjpjYW5hcnk/);
  });
});
