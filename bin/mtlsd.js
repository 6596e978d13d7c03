#!/usr/bin/env node
// Plain JavaScript that old runtimes parse too: it only finds a Node that is new enough and continues there.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { health, healthCall, homeDirectory } from './health.js';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);
const args = process.argv.slice(2);
const call = healthCall(args);

if (call) {
  const { ready, message } = await health(homeDirectory(call.home, process.env));
  (ready ? process.stdout : process.stderr).write(`${message}\n`);
  process.exitCode = ready ? 0 : 1;
} else if (major > 24 || (major === 24 && minor >= 17)) {
  // Starting is a good part of what a short command takes; the compiled code is kept for the next one.
  (await import('node:module')).default.enableCompileCache?.();
  // A daemon stays, and what its start leaves behind with it: 5 MB less where V8's young generation does not grow meanwhile.
  if (args.includes('start')) (await import('node:v8')).setFlagsFromString('--semi-space-growth-factor=1');
  // Half of the threads resolve names; with 4, two hosts whose name servers hang would block all others. Read at the first use.
  if (args.includes('start')) process.env.UV_THREADPOOL_SIZE ??= '32';
  // A checkout has src/ and runs it as it stands; the package has dist/ alone.
  const { main } = await import(existsSync(here('../src/cli/main.ts')) ? '../src/cli/main.ts' : '../dist/cli/main.js');
  await main(args);
} else {
  const pinned = here(
    process.platform === 'win32' ? '../node_modules/node/bin/node.exe' : '../node_modules/node/bin/node',
  );
  if (existsSync(pinned)) {
    const { spawn } = await import('node:child_process');
    const child = spawn(pinned, [fileURLToPath(import.meta.url), ...args], { stdio: 'inherit' });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
  } else {
    process.stderr.write(
      `mtlsd: Node ${process.versions.node} is too old (it has TLS faults that matter here): mtlsd requires Node 24.17 or newer\n` +
        'next: install Node 24 (https://nodejs.org), or let npm bring it for this command: npx -p node@24 -p mtlsd mtlsd\n',
    );
    process.exitCode = 1;
  }
}
