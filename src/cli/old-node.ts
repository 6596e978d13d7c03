/** A warning for programs on a Node that ignores the proxy variables: they fail without naming the cause. */
import { execFile } from 'node:child_process';
import { open, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './programs.ts';

/**
 * The warning for a program that runs on Node 18 to 22.20 or 23; null for every other.
 * Node 22.21 and 24 honor NODE_USE_ENV_PROXY (https://nodejs.org/api/cli.html#node_use_env_proxy1).
 */
export async function oldNodeWarning(program: string): Promise<string | null> {
  const node = await nodeOf(program);
  if (node === null) return null;
  const { stdout } = await promisify(execFile)(node, ['--version'], { timeout: 5_000 }).catch(() => ({ stdout: '' }));
  const [, major = 0, minor = 0] = /^v(\d+)\.(\d+)/.exec(stdout)?.map(Number) ?? [];
  if (major === 0 || major >= 24 || (major === 22 && minor >= 21)) return null;
  return [
    `mtlsd: ${basename(program)} runs on Node ${stdout.trim()}, whose fetch and http do not use the proxy`,
    "next: use Node 22.21 or 24; or in the program, for fetch: setGlobalDispatcher(new EnvHttpProxyAgent()) of undici; for http: NODE_OPTIONS='-r global-agent/bootstrap' with the package global-agent",
    '',
  ].join('\n');
}

/** The Node that runs it: the program itself, or the Node in PATH for a script with that interpreter. */
async function nodeOf(program: string): Promise<string | null> {
  const path = program.includes('/') ? program : await findProgram(program);
  if (path === null) return null;
  const real = await realpath(path).catch(() => path);
  if (/^node(?:\.exe)?$/.test(basename(real))) return real;
  // npm and similar programs have their own proxy settings.
  if (['npm', 'npx', 'yarn', 'pnpm'].includes(basename(program))) return null;
  const file = await open(real).catch(() => null);
  if (!file) return null;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(100), 0, 100, 0);
    return /^#!.*\bnode\b/.test(buffer.toString('latin1', 0, bytesRead)) ? await findProgram('node') : null;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}
