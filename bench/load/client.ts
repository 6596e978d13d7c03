/** Clients that are Node programs of ours: bench/programs/NAME.ts CONFIGURATION-AS-JSON, which write a line of JSON for each report. */
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { LOAD_CORE, type Spawned, start } from '../lab/processes.ts';

export interface Client<T> {
  readonly program: Spawned;
  /** The next report. */
  report(): Promise<T>;
}

export function startClient<T>(name: string, options: object): Client<T> {
  const program = start(
    process.execPath,
    [join(import.meta.dirname, `../programs/${name}.ts`), JSON.stringify(options)],
    { core: LOAD_CORE },
  );
  const lines: string[] = [];
  if (!program.child.stdout) throw new Error(`${name} has no stdout`);
  const reader = createInterface({ input: program.child.stdout });
  reader.on('line', (line) => lines.push(line));
  return {
    program,
    async report() {
      while (lines.length === 0) {
        await Promise.race([once(reader, 'line'), once(reader, 'close')]);
        if (lines.length === 0 && program.child.exitCode !== null) throw new Error(`${name}: ${program.output()}`);
      }
      return JSON.parse(lines.shift() ?? '') as T;
    },
  };
}
