/** A daemon with 64 descriptors and more clients than that: it lives, and serves again soon after they left. */
import { connect, type Socket } from 'node:net';
import { heldBy, openDescriptors } from '../../fuzz/wire/arena.ts';
import { ask } from '../../test/support/exchange.ts';
import { createScene } from '../../test/support/scene.ts';
import { assertFigures, type Scenario } from '../scenario.ts';

const CLIENTS = 100;
const DESCRIPTORS = 64;
const RECOVERY_MS = 5_000;

export const descriptors: Scenario = {
  name: 'descriptors',
  async run(scale) {
    const rounds = Math.max(1, Math.round(5 * scale));
    const scene = await createScene({
      under: ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`],
      settings: 'timeouts: { keep_alive: 300ms }\n',
    });
    const { daemon, origin } = scene;
    const authority = `localhost:${origin.port}`;
    try {
      await ask(daemon, authority);
      await (await daemon.api('/metrics')).text();
      const before = openDescriptors(daemon) ?? 0;
      let slowestMs = 0;
      let most = 0;
      for (let round = 0; round < rounds; round++) {
        const clients = await Promise.all(Array.from({ length: CLIENTS }, () => crowd(daemon.proxyPort, authority)));
        most = Math.max(most, openDescriptors(daemon) ?? 0);
        for (const client of clients) client.destroy();
        const left = performance.now();
        const { status } = await ask(daemon, authority);
        if (status !== 200) throw new Error(`answered with ${status} after the clients left`);
        slowestMs = Math.max(slowestMs, performance.now() - left);
        // No admin request may wait with them.
        while ((await heldBy(daemon, before + 2)) !== null) {
          if (performance.now() - left > RECOVERY_MS)
            throw new Error(`${RECOVERY_MS} ms after the clients left: ${await heldBy(daemon, before + 2)}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      if (most < DESCRIPTORS - 2) throw new Error(`${most} descriptors were in use: there was no want of them`);
      const figures = {
        rounds,
        clients: CLIENTS,
        'most descriptors': most,
        'slowest recovery, ms': Math.round(slowestMs),
      };
      if (slowestMs > RECOVERY_MS) throw new Error(`served again only after ${Math.round(slowestMs)} ms`);
      return assertFigures(figures, { rounds });
    } finally {
      await scene.close();
    }
  },
};

/** Asks for a tunnel, and keeps what it gets; resolves when an answer or an end came, or when nothing does. */
function crowd(port: number, authority: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    });
    const done = (): void => resolve(socket);
    socket.on('error', done).once('data', done).once('close', done).setTimeout(1_000, done);
  });
}
