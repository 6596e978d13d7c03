import { setTimeout as sleep } from 'node:timers/promises';
import { answers } from '../../test/support/ports.ts';
import type { Spawned } from './processes.ts';

export { freePort } from '../../test/support/ports.ts';

/** @throws Error with the program's output where it ends, or does not listen within a minute */
export async function listening(port: number, program: Spawned, everyMs = 20): Promise<void> {
  const until = Date.now() + 60_000;
  while (!(await answers(port))) {
    if (program.child.exitCode !== null || Date.now() > until)
      throw new Error(`${program.child.spawnargs.join(' ')} does not listen: ${program.output()}`);
    await sleep(everyMs);
  }
}
