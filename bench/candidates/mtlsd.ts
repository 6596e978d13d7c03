/** mtlsd as packaged: the bundle, without src/ beside it, logging on as shipped, stdout to a file. */
import { cpSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'rolldown';
import config from '../../rolldown.config.ts';
import { freePort, listening } from '../lab/ports.ts';
import { PROXY_CORE, start } from '../lab/processes.ts';
import type { Candidate } from './candidate.ts';

const REPOSITORY = join(import.meta.dirname, '../..');

/** Lays the package out in `stage`: a copy, so that a build or an edit during the run changes nothing. */
export async function stagePackage(stage: string, dist: string | null): Promise<void> {
  mkdirSync(stage, { recursive: true });
  for (const name of ['bin', 'config', 'package.json'])
    cpSync(join(REPOSITORY, name), join(stage, name), { recursive: true });
  if (dist) cpSync(dist, join(stage, 'dist'), { recursive: true });
  else
    await build({
      ...config,
      cwd: REPOSITORY,
      output: { ...config.output, dir: join(stage, 'dist/cli') },
      logLevel: 'silent',
    });
}

/** @param stage where the package was laid out */
export function mtlsd(name: string, stage: string): Candidate {
  return {
    name,
    kind: 'proxy',
    http2: true,
    node: true,
    missing: () => null,
    async start(lab, { nodeArgs = [] } = {}) {
      const home = lab.folder('mtlsd');
      writeFileSync(
        join(home, 'certificates.yaml'),
        `version: 1
certificates:
  - { name: bench, host: "*", port: "*", cert: ${lab.client.cert}, key: ${lab.client.key} }
trust: { system: false, ca: [${lab.rootFile}] }
`,
        { mode: 0o600 },
      );
      const log = openSync(join(home, 'log'), 'a');
      const port = await freePort();
      const begun = performance.now();
      const daemon = start(
        process.execPath,
        [
          ...nodeArgs,
          join(stage, 'bin/mtlsd.js'),
          'start',
          ...['--home', home, '--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0'],
        ],
        { core: PROXY_CORE, stdout: log },
      );
      await listening(port, daemon, 5);
      const startMs = performance.now() - begun;
      return {
        pid: daemon.pid,
        port,
        startMs,
        at: (target) => `127.0.0.1:${target}`,
        stop: () => daemon.stop(),
      };
    },
  };
}
