import { createHash } from 'node:crypto';
import http2 from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createScene, type Scene } from '../support/scene.ts';
import type { RunningDaemon } from '../support/daemon.ts';
import type { Origin } from '../support/origins.ts';
import { throughTunnel } from '../support/tunnel.ts';

describe('WebSocket and other upgrades', () => {
  let daemon: RunningDaemon;
  let scene: Scene;
  let origin: Origin;

  beforeAll(async () => {
    scene = await createScene();
    ({ origin, daemon } = scene);
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true });
    origin.server.on('upgrade', (request, socket, head) => {
      if (request.url === '/refused') {
        socket.end(
          'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 6\r\nX-Why: no\r\nConnection: close\r\n\r\nsorry\n',
        );
      } else if (request.headers.upgrade === 'echo') {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Mode: echo\r\n\r\nhello ',
        );
        socket.pipe(socket);
      } else {
        sockets.handleUpgrade(request, socket, head, (ws) => {
          ws.on('message', (data, binary) => ws.send(data, { binary }));
        });
      }
    });
  });
  afterAll(() => scene.close());

  const authority = (): string => `localhost:${origin.port}`;

  test('ws, text and binary, small and large, with the client certificate', async () => {
    const socket = await throughTunnel(daemon, authority(), { ALPNProtocols: ['http/1.1'] });
    const ws = new WebSocket(`wss://${authority()}/chat`, ['one', 'two'], { createConnection: () => socket });
    await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject));
    for (const message of [Buffer.from('text'), Buffer.alloc(2_000_000, 7)]) {
      ws.send(message);
      const echoed = await new Promise<Buffer>((resolve) => ws.once('message', resolve));
      expect(createHash('sha256').update(echoed).digest('hex')).toBe(
        createHash('sha256').update(message).digest('hex'),
      );
    }
    ws.close(1000);
    await new Promise((resolve) => ws.on('close', resolve));
    expect(await daemon.event('exchange', (line) => line.path === '/chat')).toMatchObject({
      status: 101,
      certificate: 'alice',
      http: '1.1',
      error: null,
    });
  });

  test('an origin that declines is answered as it did', async () => {
    const socket = await throughTunnel(daemon, authority(), { ALPNProtocols: ['http/1.1'] });
    socket.write('GET /refused HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const answer = await readAll(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/);
    expect(answer).toContain('X-Why: no');
    expect(answer.endsWith('sorry\n')).toBe(true);
  });

  test('any other protocol, bytes right behind the 101 included', async () => {
    const socket = await throughTunnel(daemon, authority(), { ALPNProtocols: ['http/1.1'] });
    socket.write('GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ');
    let text = '';
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('early')) resolve();
      });
    });
    expect(text).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nX-Mode: echo\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello early $/,
    );
    socket.end();
    await new Promise((resolve) => socket.on('close', resolve));
  });

  test('from HTTP/2, to an origin that has only HTTP/1.1', async () => {
    const socket = await throughTunnel(daemon, authority(), { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://${authority()}`, { createConnection: () => socket });
    await new Promise((resolve) => client.on('remoteSettings', resolve));
    const stream = client.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/from-h2', 'sec-websocket-version': '13' },
      { endStream: false },
    );
    const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.on('response', resolve));
    expect(head[':status']).toBe(200);
    expect(head).not.toHaveProperty('sec-websocket-accept');
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69])); // a masked text frame, "hi" (RFC 6455 §5.2)
    expect(await new Promise((resolve) => stream.once('data', resolve))).toEqual(Buffer.from([0x81, 0x02, 0x68, 0x69]));
    stream.close();
    client.close();
  });
});

function readAll(socket: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve) => socket.on('close', () => resolve(text)));
}
