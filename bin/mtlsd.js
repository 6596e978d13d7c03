#!/usr/bin/env node
// Plain JavaScript that old runtimes parse too: it only finds a Node that is new enough and goes on there.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import module from 'node:module';
import { setFlagsFromString } from 'node:v8';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 17)) {
  // Starting is a good part of what a short command takes; the compiled code is kept for the next one.
  module.enableCompileCache?.();
  // A daemon stays, and what its start leaves behind with it: 5 MB less where V8's young generation does not grow meanwhile.
  if (process.argv.includes('start')) setFlagsFromString('--semi-space-growth-factor=1');
  // A checkout has src/ and runs it as it stands; the package has dist/ alone.
  const { main } = await import(existsSync(here('../src/cli/main.ts')) ? '../src/cli/main.ts' : '../dist/cli/main.js');
  await main(process.argv.slice(2));
} else {
  const pinned = here(
    process.platform === 'win32' ? '../node_modules/node/bin/node.exe' : '../node_modules/node/bin/node',
  );
  if (existsSync(pinned)) {
    const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
  } else {
    process.stderr.write(
      `mtlsd: this is Node ${process.versions.node}; mtlsd needs Node 24.17 or newer (older ones have TLS faults that matter here)\n`,
    );
    process.exit(1);
  }
}
