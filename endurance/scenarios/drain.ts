/** SIGTERM in the middle of transfers: all of them end whole, and the daemon exits with 0. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { createScene } from '../../test/support/scene.ts';
import { throughTunnel } from '../../test/support/tunnel.ts';
import { assertFigures, type Scenario, scaled } from '../scenario.ts';

const BYTES = 8_000_000;
const FIRST = 1_000_000;

export const drain: Scenario = {
  name: 'drain',
  async run(scale) {
    const transfers = scaled(20, scale, 4);
    const body = Buffer.alloc(BYTES, 'x');
    let begun = 0;
    let allBegun = (): void => {};
    const underWay = new Promise<void>((resolve) => (allBegun = resolve));
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const begin = (): void => void (++begun === transfers && allBegun());
    const scene = await createScene({ handler: (request, response) => answer(request, response, released) });
    const authority = `localhost:${scene.origin.port}`;

    const download = async (): Promise<number> => {
      let got = 0;
      await send(await throughTunnel(scene.daemon, authority), authority, 'GET', null, (chunk) => {
        if (got < FIRST && got + chunk.length >= FIRST) begin();
        got += chunk.length;
      });
      return got;
    };
    const upload = async (): Promise<number> => {
      let answered = '';
      const parts = async function* (): AsyncGenerator<Buffer> {
        yield body.subarray(0, FIRST);
        begin();
        await released;
        yield body.subarray(FIRST);
      };
      await send(await throughTunnel(scene.daemon, authority), authority, 'PUT', parts(), (chunk) => {
        answered += chunk.toString();
      });
      return Number(answered);
    };
    const running = Array.from({ length: transfers }, (_, index) => (index % 2 === 0 ? download() : upload()));
    const results = Promise.allSettled(running);
    await underWay;
    const exit = scene.daemon.stop();
    // It takes no new connection from the moment on that it drains.
    while (await isListening(scene.daemon.proxyPort)) await new Promise(setImmediate);
    release();
    const whole = (await results).filter((result) => result.status === 'fulfilled' && result.value === BYTES).length;
    const code = await exit;
    await scene.origin.close();
    return assertFigures({ transfers, whole, 'exit code': code ?? -1 }, { whole: transfers, 'exit code': 0 });
  },
};

function answer(request: IncomingMessage, response: ServerResponse, released: Promise<void>): void {
  if (request.method === 'GET') {
    response.setHeader('content-length', BYTES);
    response.write(Buffer.alloc(FIRST, 'x'));
    void released.then(() => response.end(Buffer.alloc(BYTES - FIRST, 'x')));
    return;
  }
  let got = 0;
  request.on('data', (chunk: Buffer) => {
    got += chunk.length;
  });
  request.on('end', () => response.end(String(got)));
}

function send(
  socket: TLSSocket,
  authority: string,
  method: string,
  body: AsyncIterable<Buffer> | null,
  onData: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { host: authority, ...(body && { 'content-length': BYTES }) };
    const outgoing = httpRequest({ createConnection: () => socket, method, path: '/', headers }, (response) => {
      response.on('data', onData).on('error', reject);
      response.on('end', () => {
        socket.destroy();
        resolve();
      });
    });
    outgoing.on('error', reject);
    if (body) Readable.from(body).pipe(outgoing);
    else outgoing.end();
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
