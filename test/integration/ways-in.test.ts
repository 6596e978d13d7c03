import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { connectThrough } from '../support/tunnel.ts';

/** CURLE_PEER_FAILED_VERIFICATION */
const NOT_TRUSTED = 60;

describe('other ways in than an intercepted CONNECT', () => {
  let daemon: RunningDaemon;
  let origin: Origin;
  let v6: Origin;
  let plain: HttpServer;
  let raw: Server;
  let echo: TlsServer;
  let plainSeen: { url: string; fields: string[] }[] = [];
  let listeners: string[] = [];
  const files = temporaryDirectory();
  const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    for (const name of ['alice', 'bob']) (await root.issue({ cn: name, eku: ['clientAuth'] })).write(files, name);
    const server = await root.issue({
      cn: 'localhost',
      sans: ['localhost', '127.0.0.1', '::1', 'xn--mnchen-3ya.example', 'api.example'],
    });
    const tls = {
      key: server.keyPem,
      cert: server.chainPem,
      ca: root.certPem,
      requestCert: true,
      rejectUnauthorized: false,
    };
    origin = await nodeOrigin(tls);
    v6 = await nodeOrigin(tls, undefined, '::1');
    plain = createHttpServer((request, response) => {
      plainSeen.push({ url: request.url ?? '', fields: request.rawHeaders });
      response.end('in the clear\n');
    });
    raw = createServer((socket) => {
      socket.write('SSH-2.0-server\r\n');
      socket.on('data', (chunk) => socket.write(`got ${chunk.toString()}`));
      socket.on('error', () => {});
    });
    echo = createTlsServer(tls, (socket) => {
      socket.write(`${socket.getPeerCertificate().subject?.CN ?? 'nobody'}\n`);
      socket.pipe(socket);
      socket.on('error', () => {});
    });
    for (const one of [plain, raw, echo]) await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: alice, host: "*", port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }
  - { name: bob, host: api.example, port: "*", profile: bob, cert: ${files}/bob.crt, key: ${files}/bob.key }
trust: { system: false, ca: [${files}/root.crt] }
interception: { passthrough: ["127.0.0.1:${origin.port}"] }
`,
      settings: `
socks: 127.0.0.1:0
listeners:
  - { listen: "127.0.0.1:0", to: "https://api.example:${origin.port}" }
  - { listen: "127.0.0.1:0", to: "https://api.example:${origin.port}", profile: bob }
  - { listen: "127.0.0.1:0", to: "tls://localhost:${portOf(echo)}" }
connect_to: { api.example: 127.0.0.1, xn--mnchen-3ya.example: 127.0.0.1, silent.example: "127.0.0.1:${portOf(raw)}" }
`,
    });
    listeners = (await daemon.event('daemon.ready')).listeners as string[];
  });
  afterAll(async () => {
    for (const one of [plain, raw, echo]) one.close();
    await Promise.all([daemon.stop(), origin.close(), v6.close()]);
  });

  describe('absolute-form', () => {
    test('https:// carries the certificate, for clients that trust no CA', async () => {
      const body = `{"a":${'1'.repeat(5000)}}`;
      const socket = connect(daemon.proxyPort, '127.0.0.1');
      socket.write(
        `POST https://localhost:${origin.port}/abs?q=1 HTTP/1.1\r\nHost: localhost:${origin.port}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      );
      let text = '';
      await new Promise<void>((resolve) =>
        socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve()),
      );
      expect(text).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(text).toContain('"url":"/abs?q=1"');
      expect(text).toContain('"client":"alice"');
    });

    test('http:// goes on in the clear and causes no TLS connection', async () => {
      const result = await curl(`http://127.0.0.1:${portOf(plain)}/clear?x`, [
        '--proxy',
        daemon.proxy,
        '-H',
        'Mtlsd-Certificate: alice',
      ]);
      expect(result.body).toBe('in the clear\n');
      expect(plainSeen.at(-1)?.url).toBe('/clear?x');
      expect(plainSeen.at(-1)?.fields.join().toLowerCase()).not.toMatch(/mtlsd-certificate|proxy-connection/);
      expect(await daemon.event('exchange', (line) => line.path === '/clear')).toMatchObject({
        certificate: null,
        connection: null,
        authorized: null,
        status: 200,
      });
      // Whatever TLS there was is of the test before, whose lines may come late.
      const ofTls = daemon.log.filter(({ event }) => event === 'tls.connected' || event === 'tls.failed');
      expect(ofTls.filter(({ authority }) => authority !== `localhost:${origin.port}`)).toEqual([]);
    });

    test('a request that is not one to a proxy gets an answer that says so', async () => {
      const result = await curl(`${daemon.proxy}/`, []);
      expect(result.status).toBe(400);
      expect(result.body).toContain('HTTPS_PROXY');
    });
  });

  describe('SOCKS5', () => {
    const socks = async (): Promise<string> => String((await daemon.event('daemon.ready')).socks);

    test.each(['--socks5-hostname', '--socks5'])('curl %s', async (flag) => {
      const result = await curl(`https://localhost:${origin.port}/socks`, [
        flag,
        await socks(),
        '--cacert',
        daemon.caFile,
      ]);
      // resolved by curl, it is the address that passthrough lists: not ours to intercept, and curl finds no trusted CA
      if (flag === '--socks5') expect(result.exit).toBe(NOT_TRUSTED);
      else expect(result.json<Seen>().client).toBe('alice');
    });

    test('the user name is the profile', async () => {
      const result = await curl(`https://api.example:${origin.port}/`, [
        '--proxy',
        `socks5h://bob:x@${await socks()}`,
        '--cacert',
        daemon.caFile,
      ]);
      expect(result.json<Seen>().client).toBe('bob');
    });

    test('a client that speaks HTTP to it gets an answer that says so', async () => {
      await curl(`http://${await socks()}/`, []);
      expect(await daemon.event('proxy.refused', (line) => String(line.message).includes('SOCKS5'))).toMatchObject({
        code: 'BAD_REQUEST',
      });
    });

    test('every split point of the handshake', async () => {
      const [host = '', port] = (await socks()).split(':');
      const name = Buffer.from('silent.example');
      const bytes = Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, name.length]), name, Buffer.from([1, 187])]);
      for (let at = 1; at < bytes.length; at += 3) {
        const socket = connect(Number(port), host);
        socket.setNoDelay(true);
        const got: Buffer[] = [];
        const answered = new Promise<void>((resolve) =>
          socket.on('data', (chunk: Buffer) => {
            got.push(chunk);
            if (Buffer.concat(got).byteLength >= 12) resolve();
          }),
        );
        socket.write(bytes.subarray(0, at));
        await new Promise((resolve) => setImmediate(resolve));
        socket.write(bytes.subarray(at));
        await answered;
        expect(Buffer.concat(got).subarray(0, 4)).toEqual(Buffer.from([5, 0, 5, 0]));
        socket.destroy();
      }
    });
  });

  describe('local ports', () => {
    test('a program that knows no proxies reaches the origin with the certificate', async () => {
      const result = await curl(`http://${listeners[0]}/orders`, []);
      expect(result.json<Seen>()).toMatchObject({ client: 'alice', url: '/orders', servername: 'api.example' });
      expect(result.body).toContain(`api.example:${origin.port}`); // the Host that the origin knows itself by
    });

    test('with a profile', async () => {
      expect((await curl(`http://${listeners[1]}/`, [])).json<Seen>().client).toBe('bob');
    });

    test.each([
      [['-H', 'Host: attacker.example'], 'not as'],
      [['-H', 'Sec-Fetch-Site: cross-site'], 'another site'],
    ])('a web page is kept out: %j', async (args, why) => {
      const before = origin.seen.length;
      const result = await curl(`http://${listeners[0]}/`, args);
      expect(result.status).toBe(403);
      expect(result.body).toContain(why);
      expect(origin.seen.length).toBe(before);
    });

    test('tls:// carries any protocol', async () => {
      const [host = '', port] = (listeners[2] ?? '').split(':');
      const socket = connect(Number(port), host);
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.write('over TLS');
      await new Promise<void>((resolve) => socket.on('data', () => text.includes('over TLS') && resolve()));
      expect(text).toBe('alice\nover TLS');
      socket.end();
      expect(await daemon.event('tunnel', (line) => String(line.why).startsWith('a local port'))).toMatchObject({
        sent_bytes: 8,
        received_bytes: 14,
      });
    });
  });

  describe('tunnels', () => {
    test('passthrough is untouched: the client sees the origin’s own certificate', async () => {
      const result = await curl(`https://127.0.0.1:${origin.port}/`, [
        '--proxy',
        daemon.proxy,
        '--cacert',
        `${files}/root.crt`,
      ]);
      expect(result.json<Seen>().client).toBeNull();
      expect(await daemon.event('tunnel', (line) => line.authority === `127.0.0.1:${origin.port}`)).toMatchObject({
        why: 'interception.passthrough lists it',
        error: null,
      });
    });

    test('an unreachable passthrough is answered in the clear', async () => {
      await daemon.replaceStore(
        readFileSync(`${daemon.home}/certificates.yaml`, 'utf8').replace(
          'passthrough: [',
          'passthrough: ["127.0.0.1:1", ',
        ),
      );
      const result = await curl('https://127.0.0.1:1/', ['--proxy', daemon.proxy]);
      expect(result.exit).toBe(56);
      expect(result.stderr).toContain('502');
    });

    test('plain HTTP and SSH inside CONNECT are tunnelled, without a certificate', async () => {
      const http = await curl(`http://127.0.0.1:${portOf(plain)}/tunnelled`, [
        '--proxytunnel',
        '--proxy',
        daemon.proxy,
      ]);
      expect(http.body).toBe('in the clear\n');
      const socket = await connectThrough(daemon.proxyPort, `silent.example:22`);
      socket.write('SSH-2.0-client\r\n');
      let text = '';
      await new Promise<void>((resolve) =>
        socket.on('data', (chunk) => ((text += chunk.toString()), text.includes('got') && resolve())),
      );
      expect(text).toBe('SSH-2.0-server\r\ngot SSH-2.0-client\r\n');
      socket.end();
    });

    test('half-close and a large transfer, by hash', async () => {
      const payload = Buffer.alloc(5_000_000, 'tunnel');
      const sink = createServer({ allowHalfOpen: true }, (socket) => {
        const hash = createHash('sha256');
        socket.on('data', (chunk) => hash.update(chunk));
        socket.on('end', () => socket.end(hash.digest('hex')));
      });
      await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
      const socket = await connectThrough(daemon.proxyPort, `127.0.0.1:${portOf(sink)}`);
      socket.end(payload);
      let text = '';
      await new Promise<void>((resolve) =>
        socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve()),
      );
      expect(text).toBe(createHash('sha256').update(payload).digest('hex'));
      sink.close();
    });
  });

  describe('names and addresses', () => {
    test.each([
      ['an IPv6 literal', () => `https://[::1]:${v6.port}/`],
      ['IDN', () => `https://münchen.example:${origin.port}/`],
      ['an A-label in capitals', () => `https://XN--MNCHEN-3YA.example:${origin.port}/`],
      ['a trailing dot', () => `https://localhost.:${origin.port}/`],
    ])('%s', async (_name, url) => {
      const result = await curl(url(), through(daemon));
      expect(result.stderr).toBe('');
      expect(result.json<Seen>().client).toBe('alice');
    });

    test('a name that does not resolve and a port that refuses have different codes', async () => {
      const unknown = await curl('https://does-not-exist.invalid/', through(daemon));
      expect(unknown.headers['proxy-status']).toMatch(/error=dns_(error|timeout); details="DNS_/);
      const refused = await curl('https://localhost:1/', through(daemon));
      expect(refused.headers['proxy-status']).toMatch(/error=connection_refused; details="CONNECTION_REFUSED/);
    });

    test('a CONNECT that names no authority', async () => {
      for (const target of ['nonsense', 'host:0', 'host:99999', 'a b:443', '[::1', 'user@host:443']) {
        await expect(connectThrough(daemon.proxyPort, target)).rejects.toThrow(/^HTTP\/1\.1 400 /);
      }
    });
  });

  test('mode listed and unmatched refuse', async () => {
    const store = (interception: string): string => `version: 1
certificates: [{ name: alice, host: api.example, port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
interception: ${interception}
`;
    await daemon.replaceStore(store('{ mode: listed }'));
    const untouched = await curl(`https://localhost:${origin.port}/`, [
      '--proxy',
      daemon.proxy,
      '--cacert',
      `${files}/root.crt`,
    ]);
    expect(untouched.json<Seen>().client).toBeNull();
    expect((await curl(`https://api.example:${origin.port}/`, through(daemon))).json<Seen>().client).toBe('alice');
    await daemon.replaceStore(store('{ unmatched: refuse }'));
    const refused = await curl(`https://localhost:${origin.port}/`, through(daemon));
    expect(refused.stderr).toContain('403');
    plainSeen = [];
  });
});
