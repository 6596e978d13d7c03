/** Candidates that are Node programs of ours around a library: bench/programs/NAME.ts CONFIGURATION-AS-JSON. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, listening } from '../lab/ports.ts';
import { PROXY_CORE, start } from '../lab/processes.ts';
import type { Candidate } from './candidate.ts';

/** What the program is given. */
export interface ProgramOptions {
  readonly port: number;
  /** For what it wants to keep. */
  readonly dir: string;
  readonly cert: string;
  readonly key: string;
  /** The origin's CA. */
  readonly ca: string;
}

interface Description {
  readonly name: string;
  readonly program: string;
  /** The package of bench/package.json that it is made of. */
  readonly needs?: string;
  readonly http2: boolean;
  readonly limit?: boolean;
}

export function nodeProgram({ name, program, needs, http2, limit = false }: Description): Candidate {
  return {
    name,
    kind: 'proxy',
    http2,
    limit,
    node: true,
    missing: () =>
      needs === undefined || existsSync(join(import.meta.dirname, '../node_modules', needs))
        ? null
        : `${needs} (npm ci in bench/)`,
    async start(lab, { nodeArgs = [] } = {}) {
      const port = await freePort();
      const options: ProgramOptions = {
        port,
        dir: lab.folder(program),
        cert: lab.client.cert,
        key: lab.client.key,
        ca: lab.rootFile,
      };
      const begun = performance.now();
      const child = start(
        process.execPath,
        [...nodeArgs, join(import.meta.dirname, `../programs/${program}.ts`), JSON.stringify(options)],
        { core: PROXY_CORE, env: { NODE_EXTRA_CA_CERTS: lab.rootFile } },
      );
      await listening(port, child, 5);
      const startMs = performance.now() - begun;
      return { pid: child.pid, port, startMs, at: (target) => `127.0.0.1:${target}`, stop: () => child.stop() };
    },
  };
}
