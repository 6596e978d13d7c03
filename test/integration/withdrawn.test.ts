/** What a store change withdraws: certificates that requests wait for, tunnels and WebSockets under way, intercepted hosts. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, askH2 } from '../support/exchange.ts';
import { heldRelay, type HeldRelay } from '../support/held-relay.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { connectThrough, throughTunnel } from '../support/tunnel.ts';

/** A busy machine takes its time. */
const PATIENT = { timeout: 20_000, interval: 10 };
const files = temporaryDirectory();
let origin: Origin;
let echo: Origin;
/** Responses that wait to be sent, in the order of their requests. */
let held: (() => void)[] = [];

const entry = (port: string): string =>
  `  - { name: alice, host: localhost, port: "${port}", cert: ${files}/alice.crt, key: ${files}/alice.key }\n`;
const storeOf = (entries: string, more = ''): string =>
  `version: 1\n${entries && `certificates:\n${entries}`}trust: { system: false, ca: [${files}/root.crt] }\n${more}`;

beforeAll(async () => {
  const pki = await createPki();
  const root = await pki.root();
  root.write(files, 'root');
  (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
  const server = await root.issue({ cn: 'localhost', sans: ['localhost'] });
  const tls = {
    key: server.keyPem,
    cert: server.chainPem,
    ca: root.certPem,
    requestCert: true,
    rejectUnauthorized: false,
  };
  const answer = (response: ServerResponse, seen: Seen): void => void response.end(seen.client ?? 'nobody');
  origin = await nodeOrigin(tls, (request, response, seen) => {
    if (request.url?.startsWith('/held')) held.push(() => answer(response, seen));
    else answer(response, seen);
  });
  origin.server.on('upgrade', (_request, socket: Socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  // Any protocol on TLS.
  echo = await nodeOrigin(tls);
  echo.server.removeAllListeners('secureConnection').on('secureConnection', (socket: Socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
});
afterAll(async () => {
  await Promise.all([origin.close(), echo.close()]);
});
beforeEach(() => {
  held = [];
});

describe('a removed certificate', () => {
  let daemon: RunningDaemon;
  let relay: HeldRelay;

  beforeAll(async () => {
    relay = await heldRelay(origin.port);
    daemon = await startDaemon({
      store: storeOf(entry('*')),
      settings: `limits: { upstream_connections: 2 }\nconnect_to: { "localhost:9443": "127.0.0.1:${relay.port}" }\n`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), relay.close()]);
  });

  const remove = (): Promise<Response> => daemon.api('/api/v1/certificates/alice', { method: 'DELETE' });
  const restore = async (): Promise<void> => void (await daemon.replaceStore(storeOf(entry('*'))));

  test.each([
    ['HTTP/1.1', ask],
    ['HTTP/2', askH2],
  ])('is not used by requests that wait for a connection (%s)', async (_name, send) => {
    const authority = `localhost:${origin.port}`;
    const seenBefore = origin.seen.length;
    const busy = [ask(daemon, authority, { path: '/held' }), ask(daemon, authority, { path: '/held' })];
    await expect.poll(() => held.length, PATIENT).toBe(2);
    const waiting = Array.from({ length: 20 }, (_, i) => send(daemon, authority, { path: `/queued-${i}` }));
    await expect.poll(async () => (await daemon.api('/metrics')).text(), PATIENT).toMatch(/state="waiting"\} 20/);
    expect((await remove()).ok).toBe(true);
    for (const respond of held) respond();
    expect((await Promise.all(busy)).map(({ body }) => body)).toEqual(['alice', 'alice']);
    expect(new Set((await Promise.all(waiting)).map(({ body }) => body))).toEqual(new Set(['nobody']));
    expect(origin.seen.slice(seenBefore).filter(({ client }) => client === 'alice')).toHaveLength(2);
    await restore();
  });

  test('does not leave in a handshake that was under way', async () => {
    const seenBefore = origin.seen.length;
    relay.hold();
    const waiting = [ask(daemon, 'localhost:9443', { path: '/dialled' }), ask(daemon, 'localhost:9443')];
    await expect.poll(() => relay.holding(), PATIENT).toBeGreaterThan(0);
    expect((await remove()).ok).toBe(true);
    relay.release();
    expect((await Promise.all(waiting)).map(({ body }) => body)).toEqual(['nobody', 'nobody']);
    expect(origin.seen.slice(seenBefore).map(({ client }) => client)).toEqual([null, null]);
    await restore();
  });
});

describe.each([true, false])('with end_tunnels: %s', (ends) => {
  let daemon: RunningDaemon;
  let port: number;

  beforeAll(async () => {
    daemon = await startDaemon({
      store: storeOf(entry('*')),
      settings: `end_tunnels: ${ends}
listeners:
  - { listen: "127.0.0.1:0", to: "tls://localhost:${echo.port}" }
`,
    });
    const ready = await daemon.event('daemon.ready');
    port = Number((ready.listeners as string[])[0]?.split(':').at(-1));
  });
  afterAll(() => daemon.stop());
  let rounds = 0;
  beforeEach(async () => {
    rounds += 1; // a store that did not change is not loaded again
    await daemon.replaceStore(storeOf(entry('*'), `# round ${rounds}\n`));
  });

  async function expectEcho(socket: Socket, text: string): Promise<void> {
    socket.write(text);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toBe(text);
  }

  /** Changes the store; what it withdraws ends, or continues as before. */
  async function expectWithdrawn(socket: Socket, store: string): Promise<void> {
    await expectEcho(socket, 'before');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await daemon.replaceStore(store);
    if (ends) await closed;
    else await expectEcho(socket, 'after');
    socket.destroy();
  }

  async function webSocket(): Promise<Socket> {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`, { ALPNProtocols: ['http/1.1'] });
    socket.on('error', () => {});
    socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await once(socket, 'data');
    return socket;
  }

  test('a WebSocket whose certificate was removed', async () => {
    await expectWithdrawn(await webSocket(), storeOf(''));
  });

  test('a WebSocket whose rule was changed', async () => {
    await expectWithdrawn(await webSocket(), storeOf(entry('*'), 'verification: { mode: report }\n'));
  });

  test('a local port of another protocol whose certificate was removed', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await expectWithdrawn(socket, storeOf(''));
  });

  test('a tunnel whose host is no longer passed through', async () => {
    await daemon.replaceStore(storeOf('', `interception: { passthrough: ["localhost:${echo.port}"] }\n`));
    const raw = await connectThrough(daemon.proxyPort, `localhost:${echo.port}`);
    const socket = connectTls({ socket: raw, rejectUnauthorized: false });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    await expectWithdrawn(socket, storeOf(entry('*')));
  });

  test('a tunnel of which the store decides the same goes on', async () => {
    const socket = await webSocket();
    await expectEcho(socket, 'before');
    await daemon.replaceStore(storeOf(entry('*'), '# a comment\n'));
    await expectEcho(socket, 'after');
    socket.destroy();
  });
});

describe('a host that is no longer intercepted', () => {
  let daemon: RunningDaemon;

  beforeAll(async () => {
    daemon = await startDaemon({ store: storeOf(entry('*')) });
  });
  afterAll(() => daemon.stop());

  test.each([
    ['passthrough', 'h1'],
    ['passthrough', 'h2'],
    ['refuse', 'h1'],
    ['refuse', 'h2'],
  ])('%s: the response under way comes whole, and the connection of its client closes (%s)', async (what, version) => {
    await daemon.replaceStore(storeOf(entry('*'), `# before ${what} ${version}\n`));
    const authority = `localhost:${origin.port}`;
    const socket = await throughTunnel(daemon, authority, { ALPNProtocols: [version === 'h2' ? 'h2' : 'http/1.1'] });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let answer: Promise<string>;
    if (version === 'h2') {
      const session = connectH2(`https://${authority}`, { createConnection: () => socket });
      const stream = session.request({ ':path': '/held' });
      answer = new Promise((resolve) => {
        let text = '';
        stream.setEncoding('latin1').on('data', (part: string) => {
          text += part;
        });
        stream.on('end', () => resolve(text));
      });
    } else {
      socket.write('GET /held HTTP/1.1\r\nHost: a\r\n\r\n');
      answer = new Promise((resolve) => {
        let text = '';
        socket.setEncoding('latin1').on('data', (part: string) => {
          text += part;
        });
        socket.on('end', () => resolve(text));
      });
    }
    await expect.poll(() => held.length, PATIENT).toBe(1);
    const rule = what === 'passthrough' ? `passthrough: ["${authority}"]` : 'unmatched: refuse';
    await daemon.replaceStore(storeOf(what === 'refuse' ? '' : entry('*'), `interception: { ${rule} }\n`));
    held[0]?.();
    expect(await answer).toMatch(/alice$|^alice|\r\nalice/);
    await closed;
  });
});
