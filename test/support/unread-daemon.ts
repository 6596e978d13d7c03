/** A daemon whose log the test itself reads, late or never: daemon.ts reads at once. */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './daemon.ts';

export interface UnreadDaemon {
  readonly home: string;
  readonly proxy: string;
  readonly caFile: string;
  readonly process: ChildProcess;
  /** SIGTERM; the exit code and how long it took. */
  stop(): Promise<{ readonly code: number | null; readonly ms: number }>;
}

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

/** Resolves when run.json is there. @param stdout as for spawn */
export async function startUnread(stdout: 'pipe' | number, args: readonly string[] = []): Promise<UnreadDaemon> {
  const home = temporaryDirectory();
  writeFileSync(join(home, 'certificates.yaml'), 'version: 1\nverification: { mode: report }\n', { mode: 0o600 });
  const runFile = join(home, 'run.json');
  const running = new Promise<void>((resolve) => {
    const watcher = watch(home, () => {
      if (!existsSync(runFile)) return;
      watcher.close();
      resolve();
    });
  });
  const addresses = ['--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const stdio: StdioOptions = ['ignore', stdout, 'inherit'];
  const child = spawn(process.execPath, [BIN, 'start', ...addresses, ...args], { stdio });
  await Promise.race([
    running,
    once(child, 'exit').then(([code]) => {
      throw new Error(`the daemon exited with ${String(code)} before it ran`);
    }),
  ]);
  const { proxy } = JSON.parse(readFileSync(runFile, 'utf8')) as { proxy: string[] };
  return {
    home,
    proxy: `http://${proxy[0]}`,
    caFile: join(home, 'ca/ca.pem'),
    process: child,
    async stop() {
      const before = performance.now();
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = (await exit) as [number | null];
      return { code, ms: performance.now() - before };
    },
  };
}
