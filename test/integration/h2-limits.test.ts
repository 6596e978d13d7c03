/** Origins of HTTP/2 that take few streams, none, or end their sessions: the cost, and the answer to the client. */
import { connect as connectH2, type ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask } from '../support/exchange.ts';
import { FRAME, frame, headers } from '../support/h2-frames.ts';
import { type Authority, createPki, type Issued } from '../support/pki.ts';
import { type RawOrigin, rawH2Origin } from '../support/raw-origins.ts';
import { throughTunnel } from '../support/tunnel.ts';

const numbers = (...values: number[]): Buffer =>
  Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    }),
  );
/** RFC 9113 §6.5.2: SETTINGS_MAX_CONCURRENT_STREAMS is 3. */
const most = (streams: number): Buffer =>
  frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.of(0, 3), numbers(streams)]));
/** REFUSED_STREAM */
const refuse = (stream: number): Buffer => frame(FRAME.reset, 0, stream, numbers(7));
const accept = (stream: number): Buffer => headers(stream, [':status', '200'], true);
const goaway = (last: number): Buffer => frame(FRAME.goaway, 0, 0, numbers(last, 0));

let root: Authority;
let server: Issued;
let daemon: RunningDaemon;
const origins: RawOrigin[] = [];
const clients: ClientHttp2Session[] = [];

beforeAll(async () => {
  const dir = temporaryDirectory();
  root = await (await createPki()).root();
  root.write(dir, 'root');
  server = await root.issue();
  daemon = await startDaemon({
    store: `version: 1\ntrust: { system: false, ca: [${dir}/root.crt] }\n`,
    settings: 'timeouts: { response: 2s }\n',
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await Promise.all(origins.splice(0).map((origin) => origin.close()));
});
afterAll(() => daemon.stop());

async function origin(hello: Buffer, answer: (socket: Socket, stream: number) => void): Promise<RawOrigin> {
  const made = await rawH2Origin({ key: server.keyPem, cert: server.certPem }, answer, hello);
  origins.push(made);
  return made;
}

/** One client with many streams. */
async function clientOf({ port }: RawOrigin): Promise<(path: string) => Promise<string>> {
  const socket = await throughTunnel(daemon, `localhost:${port}`, { ALPNProtocols: ['h2'] });
  const session = connectH2('https://localhost', { createConnection: () => socket });
  clients.push(session);
  return (path) =>
    new Promise((resolve) => {
      let status = 0;
      let body = '';
      const stream = session.request({ ':path': path });
      stream.on('response', (fields) => {
        status = Number(fields[':status']);
      });
      stream.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      stream.on('error', () => {});
      stream.on('close', () => resolve(status === 200 ? '200' : `${status} ${body}`));
    });
}

const many = (send: (path: string) => Promise<string>, count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => send(`/${index}`)));

test('none: requests wait for as long as a response may take, and all cost one session', async () => {
  const shut = await origin(most(0), (socket, stream) => socket.write(refuse(stream)));
  const send = await clientOf(shut);
  for (const answer of await many(send, 20)) expect(answer).toMatch(/^504 /);
  // By now its limit is known.
  for (const answer of await many(send, 20))
    expect(answer).toMatch(
      /^504 .*localhost:\d+ allowed no HTTP\/2 streams for 2 s \(SETTINGS_MAX_CONCURRENT_STREAMS is 0\)/s,
    );
  expect(await ask(daemon, `localhost:${shut.port}`)).toMatchObject({ status: 504 });
  expect(shut.connections()).toBe(1);
});

test('none for a while: who waits is served', async () => {
  const shut = Promise.withResolvers<Socket>();
  const late = await origin(most(1), (socket, stream) => {
    if (late.requests.length > 1) return socket.write(accept(stream));
    socket.write(Buffer.concat([most(0), refuse(stream)]));
    shut.resolve(socket);
  });
  const send = await clientOf(late);
  const answer = send('/waits');
  const socket = await shut.promise;
  const waiting = /^mtlsd_upstream_requests\{state="waiting"\} 1$/m;
  while (!waiting.test(await (await daemon.api('/metrics')).text()));
  socket.write(most(10));
  expect(await answer).toBe('200');
  expect(late.connections()).toBe(1);
});

test('some at first, and none later: what comes after that waits, and no other session is dialled', async () => {
  const closing = await origin(most(100), (socket, stream) => socket.write(Buffer.concat([accept(stream), most(0)])));
  const send = await clientOf(closing);
  expect(await send('/first')).toBe('200');
  for (const answer of await many(send, 5)) expect(answer).toMatch(/^504 .*allowed no HTTP\/2 streams/s);
  expect(closing.connections()).toBe(1);
});

test('one at a time, and the rest refused: everybody is served, on no more sessions than requests', async () => {
  const busy = new Set<Socket>();
  const narrow = await origin(most(1), (socket, stream) => {
    if (busy.has(socket)) return socket.write(refuse(stream));
    busy.add(socket);
    setImmediate(() => {
      busy.delete(socket);
      socket.write(accept(stream));
    });
  });
  const send = await clientOf(narrow);
  expect(await many(send, 20)).toEqual(Array<string>(20).fill('200'));
  expect(narrow.connections()).toBeLessThanOrEqual(20);
});

test('a GOAWAY on every session: two sessions for a request at most, and an answer', async () => {
  const leaving = await origin(Buffer.concat([most(100), goaway(0)]), () => {});
  const send = await clientOf(leaving);
  for (let request = 1; request <= 20; request++) {
    expect(await send('/')).not.toBe('200');
    expect(leaving.connections()).toBeLessThanOrEqual(2 * request);
  }
});

test('no settings at all: the request is answered, and the session is given up', async () => {
  const silent = await origin(Buffer.alloc(0), () => {});
  const send = await clientOf(silent);
  expect(await send('/')).toMatch(/^504 .*no response within 2 s/s);
  await silent.emptied();
  expect(silent.connections()).toBe(1);
});
