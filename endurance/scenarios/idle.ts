/** Tunnels that were used once, then left open in their thousands, and let go. */
import type { TLSSocket } from 'node:tls';
import { heldBy, openDescriptors } from '../../fuzz/wire/arena.ts';
import { createScene } from '../../test/support/scene.ts';
import { throughTunnel } from '../../test/support/tunnel.ts';
import { type Figures, inLanes, type Scenario, scaled } from '../scenario.ts';
import { residentMb } from '../memory.ts';

const LANES = 32;
const RELEASE_MS = 30_000;

export const idle: Scenario = {
  name: 'idle',
  async run(scale) {
    const count = scaled(10_000, scale);
    const scene = await createScene({
      settings: `limits: { connections: ${count + 10}, connections_per_address: ${count + 10} }\ntimeouts: { idle: 10m }\n`,
      keeps: ({ event }) => event.startsWith('daemon.'),
    });
    const { daemon, origin } = scene;
    const authority = `localhost:${origin.port}`;
    const held: TLSSocket[] = [];
    try {
      await (await daemon.api('/metrics')).text();
      const before = openDescriptors(daemon) ?? 0;
      const startMb = residentMb(daemon);
      await inLanes(count, LANES, async () => {
        const socket = await throughTunnel(daemon, authority);
        held.push(socket);
        await used(socket, authority);
      });
      const open = held.filter(({ destroyed, readyState }) => !destroyed && readyState === 'open').length;
      if (open !== count) throw new Error(`${count - open} of ${count} connections were closed`);
      const openMb = residentMb(daemon);
      for (const socket of held) socket.destroy();
      const released = performance.now();
      for (;;) {
        const holds = await heldBy(daemon, before);
        if (holds === null) break;
        if (performance.now() - released > RELEASE_MS) throw new Error(`still held: ${holds}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return {
        connections: count,
        'KB each': Math.round(((openMb - startMb) * 1024) / count),
        'MB open': openMb,
        'MB after': residentMb(daemon),
        'released after, ms': Math.round(performance.now() - released),
      } satisfies Figures;
    } finally {
      for (const socket of held) socket.destroy();
      await scene.close();
    }
  },
};

function used(socket: TLSSocket, authority: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(`HEAD / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    socket.once('data', (answer: Buffer) => {
      socket.off('error', reject).on('error', () => {});
      if (answer.toString('latin1').startsWith('HTTP/1.1 200 ')) resolve();
      else reject(new Error(answer.toString('latin1')));
    });
    socket.once('error', reject);
  });
}
