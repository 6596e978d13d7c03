import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Spawned } from './processes.ts';

/** For programs that can't say which port they took: one that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** @throws Error with the program's output where it ends, or does not listen within a minute */
export async function listening(port: number, program: Spawned, everyMs = 20): Promise<void> {
  const until = Date.now() + 60_000;
  while (!(await answers(port))) {
    if (program.child.exitCode !== null || Date.now() > until)
      throw new Error(`${program.child.spawnargs.join(' ')} does not listen: ${program.output()}`);
    await sleep(everyMs);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
