import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';

let daemon: RunningDaemon;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.stop());

const port = (): number => Number(new URL(daemon.admin).port);

function open(bytes: string): Socket {
  const socket = connect(port(), '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  if (bytes !== '') socket.write(bytes);
  return socket;
}

/** Seconds until the other side ends the connection. */
async function secondsOpen(socket: Socket): Promise<number> {
  const before = performance.now();
  await once(socket, 'close');
  return (performance.now() - before) / 1000;
}

test('a client that stops half-way is let go, wherever it stops', async () => {
  const head = `POST /api/v1/match HTTP/1.1\r\nHost: localhost:${port()}\r\nAuthorization: Bearer ${daemon.token}\r\n`;
  const body = `${head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"url":`;
  const unknown = body.replace(daemon.token, 'wrong');
  const [silent, halfHead, halfBody, refusedBody] = await Promise.all(
    ['', head, body, unknown].map((bytes) => secondsOpen(open(bytes))),
  );
  expect(silent).toBeLessThan(8);
  expect(halfHead).toBeLessThan(8);
  expect(halfBody).toBeLessThan(20);
  expect(refusedBody).toBeLessThan(20);
  // It was patience that ended, and not the connection that failed.
  expect(Math.min(silent ?? 0, halfHead ?? 0)).toBeGreaterThan(4);
  expect(halfBody).toBeGreaterThan(12);
});

test('a body larger than any upload is refused before it is sent', async () => {
  const response = await daemon.api('/api/v1/match', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"url":"${'x'.repeat(1024 * 1024)}"}`,
  });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ code: 'BODY_TOO_LARGE' });
});

test('a crowd of idle connections is bounded, and goes by itself', async () => {
  const crowd = Array.from({ length: 400 }, () => open(''));
  const closed = crowd.map(secondsOpen);
  const first = await Promise.all(closed);
  // Those over the limit at once, the others when they have said nothing for too long.
  expect(first.filter((seconds) => seconds < 4).length).toBeGreaterThanOrEqual(400 - 256);
  expect(Math.max(...first)).toBeLessThan(9);
  expect((await daemon.api('/healthz')).status).toBe(200);
});
