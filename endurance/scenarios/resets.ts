/** An origin that resets its connections at any point: no POST arrives twice, and each is answered or fails. */
import { createSecureServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { Random } from '../../fuzz/random.ts';
import { startDaemon } from '../../test/support/daemon.ts';
import { ask, askH2 } from '../../test/support/exchange.ts';
import { createPki } from '../../test/support/pki.ts';
import { assertFigures, inLanes, type Scenario, scaled } from '../scenario.ts';

const LANES = 16;
const BODY = 'x'.repeat(40_000);

/** When a connection is reset; one in three requests is spared, so that connections are kept and used again. */
const POINTS = ['head', 'body', 'end', 'response', 'idle', 'never', 'never', 'never'] as const;

export const resets: Scenario = {
  name: 'resets',
  async run(scale) {
    const goal = scaled(1_000, scale);
    const random = new Random('resets');
    const { keyPem: key, certPem: cert } = await (await createPki()).selfSigned({
      cn: 'localhost',
      sans: ['localhost'],
    });
    const arrivals = new Map<string, number>();
    const sockets = new Map<number, Socket>();
    const at: Record<string, number> = {};
    let count = 0;
    const reset = (socket: Socket | undefined, point: string): void => {
      if (!socket || socket.destroyed) return;
      socket.resetAndDestroy();
      at[`at ${point}`] = (at[`at ${point}`] ?? 0) + 1;
      count += 1;
    };
    const take = (request: Http2ServerRequest, response: Http2ServerResponse): void => {
      const id = String(request.headers['x-id']);
      arrivals.set(id, (arrivals.get(id) ?? 0) + 1);
      const socket = sockets.get(request.socket.remotePort ?? 0);
      const point = random.pick(POINTS);
      request.on('error', () => {});
      response.on('error', () => {});
      if (point === 'head') return reset(socket, point);
      request.once('data', () => void (point === 'body' && reset(socket, point)));
      request.on('end', () => {
        if (point === 'end') return reset(socket, point);
        if (point === 'response') {
          response.writeHead(200, { 'content-length': BODY.length });
          response.write(BODY.slice(0, 10_000), () => reset(socket, point));
          return;
        }
        response.end(BODY);
        // While the next one may be on its way.
        if (point === 'idle') setTimeout(() => reset(socket, point), random.below(4));
      });
    };
    const origin = createSecureServer({ key, cert, allowHTTP1: true }, take);
    origin.on('sessionError', () => {}).on('tlsClientError', () => {});
    origin.on('connection', (socket: Socket) => {
      const port = socket.remotePort ?? 0;
      sockets.set(port, socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(port));
      const early = random.below(20);
      if (early === 0) reset(socket, 'accept');
      if (early === 1) setTimeout(() => reset(socket, 'handshake'), random.below(4));
    });
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    const daemon = await startDaemon({
      store: 'version: 1\nverification: { mode: report }\n',
      keeps: ({ event }) => event.startsWith('daemon.'),
    });
    const authority = `localhost:${(origin.address() as AddressInfo).port}`;
    const figures = { posts: 0, answered: 0, failed: 0 };
    try {
      await inLanes(LANES, LANES, async (lane) => {
        // eslint-disable-next-line no-unmodified-loop-condition -- the origin counts
        while (count < goal) {
          const id = String(figures.posts++);
          const send = lane % 2 === 0 ? ask : askH2;
          // Whole, or a failure: a client that waits for ever would hang this run.
          const answer = send(daemon, authority, { method: 'POST', headers: { 'x-id': id }, body: BODY });
          const ok = await answer.then(
            ({ status, body }) => status === 200 && body === BODY,
            () => false,
          );

          figures[ok ? 'answered' : 'failed'] += 1;
        }
      });
    } finally {
      await daemon.stop();
      for (const socket of sockets.values()) socket.destroy();
      origin.close();
    }
    const twice = [...arrivals.values()].filter((times) => times > 1).length;
    if (daemon.log.some(({ event }) => event === 'daemon.fault')) throw new Error('the daemon reported a fault');
    if (figures.answered === 0) throw new Error('no POST was answered');
    if (figures.posts !== figures.answered + figures.failed) throw new Error('a POST was neither answered nor failed');
    return assertFigures({ resets: count, ...figures, ...at, 'arrived twice': twice }, { 'arrived twice': 0 });
  },
};
