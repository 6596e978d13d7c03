/** Clients that say nothing, and clients that send a byte now and then: others do not feel them, and each is ended. */
import { connect, type Socket } from 'node:net';
import { ask } from '../../test/support/exchange.ts';
import { createScene } from '../../test/support/scene.ts';
import { assertFigures, type Scenario, scaled } from '../scenario.ts';

const SILENT = 500;
const DRIBBLING = 200;
const CALLS = 1_000;
const DRIBBLE_MS = 100;
const REAPED_MS = 30_000;

export const slow: Scenario = {
  name: 'slow',
  async run(scale) {
    const [silent, dribbling, calls] = [SILENT, DRIBBLING, CALLS].map((full) => scaled(full, scale, 20)) as [
      number,
      number,
      number,
    ];
    // Long enough for the calls, so that all of them meet the slow clients.
    const patience = Math.max(5, Math.ceil(60 * scale));
    // A tunnel without TLS is an established one, which timeouts.stream alone ends.
    const limits = ['request', 'tls', 'idle', 'stream'].map((name) => `${name}: ${patience}s`);
    const scene = await createScene({ settings: `timeouts: { ${limits.join(', ')} }\n` });
    const { daemon, origin } = scene;
    const authority = `localhost:${origin.port}`;
    const sockets: Socket[] = [];
    try {
      await p99Of(50, daemon, authority); // warm
      const alone = await p99Of(calls, daemon, authority);
      const tunnel = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
      for (let at = 0; at < silent; at++) sockets.push(await open(daemon.proxyPort, at % 2 === 0 ? tunnel : ''));
      for (let at = 0; at < dribbling; at++) {
        const socket = await open(daemon.proxyPort, `GET http://${authority}/ HTTP/1.1\r\nX-Slow: `);
        const timer = setInterval(() => socket.write('x'), DRIBBLE_MS);
        socket.on('close', () => clearInterval(timer));
        sockets.push(socket);
      }
      const beside = await p99Of(calls, daemon, authority);
      const openBeside = sockets.filter((socket) => !socket.closed).length;
      const deadline = performance.now() + patience * 1000 + REAPED_MS;
      while (sockets.some((socket) => !socket.closed) && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 50));
      const figures = {
        silent,
        dribbling,
        calls,
        'p99 alone, ms': alone,
        'p99 beside them, ms': beside,
        'open during the calls': openBeside,
        ended: sockets.filter((socket) => socket.closed).length,
      };
      return assertFigures(figures, { ended: silent + dribbling });
    } finally {
      for (const socket of sockets) socket.destroy();
      await scene.close();
    }
  },
};

/** Of whole calls, each on a connection and handshake of its own, one after the other. */
async function p99Of(calls: number, daemon: Parameters<typeof ask>[0], authority: string): Promise<number> {
  const took: number[] = [];
  for (let at = 0; at < calls; at++) {
    const begun = performance.now();
    const { status } = await ask(daemon, authority);
    if (status !== 200) throw new Error(`answered with ${status}`);
    took.push(performance.now() - begun);
  }
  took.sort((a, b) => a - b);
  return Math.round((took[Math.floor(took.length * 0.99)] ?? 0) * 10) / 10;
}

/** Sends this, and reads what comes. */
function open(port: number, bytes: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes);
      resolve(socket);
    });
    socket.on('error', reject).resume();
  });
}
