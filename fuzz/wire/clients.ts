/** Clients that send inputs to a daemon: each surface says where, and what a good answer would come from. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { createPki } from '../../test/support/pki.ts';
import type { Random } from '../random.ts';
import type { Surface, Target } from '../surface.ts';
import { type Arena, openArena } from './arena.ts';
import { Lanes, type Line } from './lanes.ts';
import { endAs, readScript, type Script, scripted, writeInParts } from './script.ts';

/** Side by side: more wait for each other, fewer for the clock. */
export const LANES = 32;

export interface Attack {
  readonly arena: Arena;
  readonly make: (random: Random) => Buffer;
  readonly open: () => Promise<Line>;
  /** What an input is on that connection; the bytes as they are where left out. */
  readonly on?: (script: Script, line: Line) => Buffer;
  readonly origins: Origins;
}

export interface Origins {
  /** HTTPS, in both versions. */
  readonly tls: number;
  readonly plain: number;
  /** Drops all connections. */
  readonly settle: () => void;
  readonly close: () => Promise<void>;
}

/** Well-behaved peers, which answer and close on request. */
async function openOrigins(): Promise<Origins> {
  const { keyPem: key, certPem: cert } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
  const plain = createServer((_request, response) => response.end('ok'));
  const tls = createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
    request.resume();
    response.end('ok');
  });
  const sockets = new Set<Socket>();
  for (const server of [plain, tls] as NetServer[]) {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('tlsClientError', () => {}).listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
    await once(server, 'listening');
  }
  tls.on('sessionError', () => {});
  const settle = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const portOf = (server: NetServer): number => (server.address() as AddressInfo).port;
  return {
    tls: portOf(tls),
    plain: portOf(plain),
    settle,
    async close() {
      const closed = [plain, tls].map((server) => once(server, 'close'));
      for (const server of [plain, tls]) server.close();
      settle();
      await Promise.all(closed);
    },
  };
}

/** Sends each input on a connection of the attack's, and looks whether the daemon is well. */
export function clientSurface(name: string, share: number, open: () => Promise<Attack>): Surface {
  return {
    name,
    share,
    async open(): Promise<Target> {
      const attack = await open();
      const lanes = new Lanes(attack.open);
      return {
        lanes: LANES,
        make: (random) => scripted(random, attack.make(random)),
        async check(input) {
          const script = readScript(input);
          await lanes.tryUse(async (line) => {
            await writeInParts(line.socket, { ...script, bytes: attack.on?.(script, line) ?? script.bytes });
            await endAs(script.end, line.socket, line.raw);
          });
          attack.arena.assertWell();
        },
        async settle() {
          await attack.arena.settle(() => {
            lanes.close();
            attack.origins.settle();
          });
        },
        async close() {
          lanes.close();
          await attack.arena.close();
          await attack.origins.close();
        },
      };
    },
  };
}

export async function attackOn(
  attack: (arena: Arena, origins: Origins) => Pick<Attack, 'make' | 'open' | 'on'>,
): Promise<Attack> {
  const [arena, origins] = [await openArena(), await openOrigins()];
  return { arena, origins, ...attack(arena, origins) };
}
