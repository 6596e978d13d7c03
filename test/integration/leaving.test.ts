/** Clients and stores that leave in the middle: every wait ends, and what it held is released and recorded. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectH2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { FLAG, FRAME, frame, frameReader, headers, PREFACE } from '../support/h2-frames.ts';
import { createPki } from '../support/pki.ts';
import { type RawOrigin, rawH2Origin, rawOrigin } from '../support/raw-origins.ts';
import { connectThrough, throughTunnel } from '../support/tunnel.ts';

const STORE = 'version: 1\nverification: { mode: report }\n';

describe('leaving', () => {
  let daemon: RunningDaemon;
  let impatient: RunningDaemon;
  let silent: RawOrigin;
  let silentH2: RawOrigin;
  let endless: RawOrigin;
  let upgrading: RawOrigin;

  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    const tls = { key: keyPem, cert: certPem };
    silent = await rawOrigin(tls, () => {});
    silentH2 = await rawH2Origin(tls, () => {});
    endless = await rawH2Origin(tls, (socket, stream) => {
      socket.write(headers(stream, [':status', '200'], false));
      socket.write(frame(FRAME.data, 0, stream, 'x'.repeat(16_000)));
    });
    upgrading = await rawOrigin(tls, (socket, head) => {
      if (head.startsWith('GET /ws'))
        socket.write('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      else if (head.startsWith('POST /early')) socket.write('HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n');
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
    });
    const connections = 'limits: { connections: 1000, connections_per_address: 1000, upstream_connections: 300 }\n';
    daemon = await startDaemon({ store: STORE, settings: `${connections}timeouts: { response: 50s }\n` });
    impatient = await startDaemon({
      store: STORE,
      settings: `${connections}end_tunnels: true\ntimeouts: { response: 1s, stream: 1s, request: 1s, idle: 1s }\n`,
    });
  });
  afterAll(async () => {
    const origins = [silent, silentH2, endless, upgrading];
    await Promise.all([daemon.stop(), impatient.stop(), ...origins.map((origin) => origin.close())]);
  });
  afterEach(() => {
    for (const { log } of [daemon, impatient]) {
      const fault = log.find(({ event }) => event === 'daemon.fault');
      if (fault) throw new Error(JSON.stringify(fault));
    }
  });

  const h1 = (to: RunningDaemon, { port }: RawOrigin): Promise<TLSSocket> =>
    throughTunnel(to, `localhost:${port}`, { ALPNProtocols: ['http/1.1'] });
  const h2 = (to: RunningDaemon, { port }: RawOrigin): Promise<TLSSocket> =>
    throughTunnel(to, `localhost:${port}`, { ALPNProtocols: ['h2'] });
  const get = (path: string, stream = 1): Uint8Array =>
    headers(stream, [':method', 'GET', ':scheme', 'https', ':authority', 'localhost', ':path', path], true);
  const opened: Uint8Array = Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0)]);

  async function reached(origin: RawOrigin, count: number): Promise<void> {
    await expect.poll(() => origin.requests.length, { timeout: 20_000, interval: 10 }).toBeGreaterThanOrEqual(count);
  }

  test('280 clients of a silent origin that leave by close_notify, FIN and RST', async () => {
    const sockets: { raw: Socket; tls: TLSSocket }[] = [];
    for (let i = 0; i < 280; i += 20)
      sockets.push(
        ...(await Promise.all(
          Array.from({ length: 20 }, async () => {
            const raw = await connectThrough(daemon.proxyPort, `localhost:${silent.port}`);
            const tls = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
            await once(tls, 'secureConnect');
            tls.on('error', () => {});
            return { raw, tls };
          }),
        )),
      );
    for (const { tls } of sockets) tls.write('GET /left HTTP/1.1\r\nHost: a\r\n\r\n');
    await reached(silent, 280);
    const left = performance.now();
    sockets.forEach(({ raw, tls }, i) => {
      if (i % 3 === 0) tls.end();
      else if (i % 3 === 1) raw.end();
      else raw.resetAndDestroy();
    });
    await silent.emptied();
    expect(performance.now() - left).toBeLessThan(1_500);
    await expect.poll(() => daemon.log.filter(({ path }) => path === '/left').length).toBe(280);
    for (const { error } of daemon.log.filter(({ path }) => path === '/left'))
      expect(error).toMatchObject({ code: 'CLIENT_GONE' });
    for (const { tls } of sockets) tls.destroy();
  });

  test('slow readers of HTTP/2 that are killed', async () => {
    const program = `
      const tls = require('node:tls'), net = require('node:net');
      const raw = net.connect(${daemon.proxyPort}, '127.0.0.1');
      raw.write('CONNECT localhost:${endless.port} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
      raw.once('data', () => {
        const socket = tls.connect({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => {
          socket.write(Buffer.from('${Buffer.concat([opened, get('/killed')]).toString('hex')}', 'hex'));
          socket.once('data', () => { raw.pause(); console.log('reading'); });
        });
      });`;
    const before = endless.requests.length;
    const children = Array.from({ length: 5 }, () =>
      spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    await Promise.all(children.map((child) => once(child.stdout, 'data')));
    await reached(endless, before + 5);
    for (const child of children) child.kill('SIGKILL');
    const killed = performance.now();
    await expect.poll(() => daemon.log.filter(({ path }) => path === '/killed').length, { interval: 10 }).toBe(5);
    expect(performance.now() - killed).toBeLessThan(2_000);
    for (const { error } of daemon.log.filter(({ path }) => path === '/killed'))
      expect(error).toMatchObject({ code: 'CLIENT_GONE' });
    const metrics = await (await daemon.api('/metrics')).text();
    expect(metrics).not.toMatch(/^mtlsd_upstream_requests\{state="running"\} [1-9]/m);
  });

  test('5,000 requests that are cancelled at once cost few handshakes', async () => {
    const before = silent.connections();
    for (let n = 0; n < 10; n++) {
      const socket = await h2(daemon, silent);
      socket.on('error', () => {}).resume();
      const frames = [opened];
      for (let stream = 1; stream < 1000; stream += 2)
        frames.push(get('/cancelled', stream), frame(FRAME.reset, 0, stream, Buffer.from('00000008', 'hex')));
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.write(Buffer.concat(frames));
      socket.end();
      await closed;
    }
    await expect
      .poll(() => daemon.log.filter(({ path }) => path === '/cancelled').length, { timeout: 10_000 })
      .toBe(5_000);
    await silent.emptied().catch(() => {});
    expect(silent.connections() - before).toBeLessThanOrEqual(200);
  });

  test('a plain client that ended its side waits 10 s, and not longer', { timeout: 30_000 }, async () => {
    const socket = connect({ port: daemon.proxyPort, host: '127.0.0.1', allowHalfOpen: true });
    const began = performance.now();
    socket.resume().end(`GET https://localhost:${silent.port}/half HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, 'end').catch(() => {});
    const waited = performance.now() - began;
    socket.destroy();
    expect(waited).toBeGreaterThan(9_000);
    expect(waited).toBeLessThan(13_000);
    await daemon.event('exchange', ({ path }) => path === '/half');
  });

  test('timeouts.response holds for origins of HTTP/2', async () => {
    const socket = await h2(impatient, silentH2);
    socket.resume().write(Buffer.concat([opened, get('/late')]));
    const line = await impatient.event('exchange', ({ path }) => path === '/late');
    expect(line).toMatchObject({ status: 504, error: { code: 'RESPONSE_TIMEOUT' } });
    socket.destroy();
  });

  test('timeouts.stream ends a response and a WebSocket on which no bytes flow', async () => {
    for (const [path, fields] of [
      ['/stalled', ''],
      ['/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'],
    ] as const) {
      const socket = await h1(impatient, upgrading);
      socket.on('error', () => {}).resume();
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
      await once(socket, 'close');
      expect((await impatient.event('exchange', (line) => line.path === path)).status).toBe(path === '/ws' ? 101 : 200);
    }
  });

  test.each<[string, Uint8Array]>([
    ['half a header block of HTTP/2', Buffer.concat([opened, frame(FRAME.headers, 0, 1, 'x')])],
    ['half a header block while a stream is open', Buffer.concat([opened, get('/open'), frame(FRAME.headers, 0, 3)])],
    ['no request', opened],
    ['no preface', new Uint8Array()],
  ])('%s times out', async (_name, bytes) => {
    const socket = await h2(impatient, silentH2);
    socket.on('error', () => {}).resume();
    socket.write(bytes);
    await new Promise((resolve) => socket.on('close', resolve));
    expect(socket.destroyed).toBe(true);
  });

  test('a request that never ends does not hold its connection after an early response', async () => {
    const socket = await h2(impatient, upgrading);
    // It is there, and says so when it is asked.
    const answerPing = frameReader(({ type, flags, payload }) => {
      if (type === FRAME.ping && flags === 0) socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
    });
    socket.on('error', () => {}).on('data', answerPing);
    const post = [':method', 'POST', ':scheme', 'https', ':authority', 'localhost', ':path', '/early'];
    socket.write(Buffer.concat([opened, headers(1, post, false)]));
    const line = await impatient.event('exchange', ({ path }) => path === '/early');
    expect(line).toMatchObject({ status: 413, error: null });
    await new Promise((resolve) => socket.on('close', resolve));
  });

  test('a host that becomes passthrough or refused closes its clients after the current response', async () => {
    for (const rule of [`passthrough: ["localhost:${endless.port}"]`, 'unmatched: refuse']) {
      const socket = await h2(impatient, endless);
      const session = connectH2('https://localhost', { createConnection: () => socket });
      session.on('error', () => {});
      await once(session, 'remoteSettings');
      const closed = new Promise((resolve) => session.on('close', resolve));
      await impatient.replaceStore(`${STORE}interception: { ${rule} }\n`);
      await closed;
      expect(session.destroyed).toBe(true);
      await impatient.replaceStore(STORE);
    }
  });
});
