/** Waits that only a time-out of our own can end: for a free connection, and for peers that are dead. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { ask } from '../support/exchange.ts';
import { createPki, type Issued } from '../support/pki.ts';
import { type RawOrigin, rawOrigin } from '../support/raw-origins.ts';
import { throughTunnel } from '../support/tunnel.ts';

/** A busy machine takes its time. */
const PATIENT = { timeout: 20_000, interval: 10 };
const STORE = 'version: 1\nverification: { mode: report }\n';

let server: Issued;
beforeAll(async () => {
  server = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
});

describe('all connections to an origin are busy', () => {
  let daemon: RunningDaemon;
  let origin: RawOrigin;
  let finish = (): void => {};

  beforeAll(async () => {
    origin = await rawOrigin({ key: server.keyPem, cert: server.certPem }, (socket, head) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha');
      if (head.startsWith('GET /first')) finish = () => socket.write('lf');
      else socket.write('lf');
    });
    daemon = await startDaemon({
      store: STORE,
      settings: 'limits: { upstream_connections: 1 }\ntimeouts: { response: 1s }\n',
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  test('a request that waits for one is answered after timeouts.response, and the next gets it', async () => {
    const authority = `localhost:${origin.port}`;
    const busy = await throughTunnel(daemon, authority);
    busy.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n');
    let got = '';
    busy.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1');
    });
    await expect.poll(() => got, PATIENT).toMatch(/ha$/);
    const answer = await ask(daemon, authority, { path: '/waits' });
    expect(answer.status).toBe(504);
    expect(answer.body).toContain(`all 1 connections to ${authority} were busy for 1 s`);
    expect(answer.body).toContain('upstream_connections');
    expect(await daemon.event('exchange', ({ path }) => path === '/waits')).toMatchObject({
      connection: null,
      error: { code: 'RESPONSE_TIMEOUT' },
    });
    const next = ask(daemon, authority, { path: '/next' });
    finish();
    expect(await next).toMatchObject({ status: 200, body: 'half' });
    expect(origin.connections()).toBe(1);
    busy.destroy();
  });
});

describe('a peer that is dead', () => {
  /** Prints its port, and starts a response that continues as long as the other side reads. */
  const ORIGIN = `
    const server = require('node:http2').createSecureServer({ key: process.env.KEY, cert: process.env.CERT });
    server.on('stream', (stream) => { stream.respond({ ':status': 200 }); stream.write('begun'); });
    server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;
  /** Goes through the proxy by HTTP/2, and says when the response has begun. */
  const client = (proxyPort: number, port: string): string => `
    const raw = require('node:net').connect(${proxyPort}, '127.0.0.1');
    raw.write('CONNECT localhost:${port} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
    raw.once('data', () => {
      const socket = require('node:tls').connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
        const session = require('node:http2').connect('https://localhost', { createConnection: () => socket });
        session.on('error', () => {});
        session.request({ ':path': '/dead' }).on('error', () => {}).once('data', () => console.log('begun'));
      });
    });`;
  const children: ChildProcess[] = [];
  let daemon: RunningDaemon;

  async function run(program: string): Promise<{ child: ChildProcess; said: string }> {
    const child = spawn(process.execPath, ['-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, KEY: server.keyPem, CERT: server.certPem },
    });
    children.push(child);
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, said: said.toString().trim() };
  }

  beforeAll(async () => {
    daemon = await startDaemon({ store: STORE, settings: 'timeouts: { idle: 1s }\n' });
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await daemon.stop();
  });

  test('an origin of HTTP/2 that freezes in its response is found by PING', async () => {
    const origin = await run(ORIGIN);
    const reader = await run(client(daemon.proxyPort, origin.said));
    origin.child.kill('SIGSTOP');
    const { error } = await daemon.event('exchange', ({ path }) => path === '/dead');
    expect(error).toMatchObject({ code: 'CONNECTION_CLOSED' });
    reader.child.kill('SIGKILL');
  });

  test('a client of HTTP/2 that freezes is found by PING', async () => {
    const origin = await run(ORIGIN);
    const reader = await run(client(daemon.proxyPort, origin.said));
    reader.child.kill('SIGSTOP');
    const { error } = await daemon.event(
      'exchange',
      ({ path, authority }) => path === '/dead' && authority === `localhost:${origin.said}`,
    );
    expect(error).toMatchObject({ code: 'CLIENT_GONE' });
  });
});
