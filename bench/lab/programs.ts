/** Which programs this machine has, and in which version. */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export function hasProgram(name: string): boolean {
  return findProgram(name) !== null;
}

export function findProgram(name: string): string | null {
  for (const dir of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/lib/squid']) {
    const file = join(dir, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // the next one
    }
  }
  return null;
}

/** The first line with a number in it that the program says of itself. */
export function versionOf(name: string, args: readonly string[]): string {
  const file = findProgram(name);
  if (!file) return 'not installed';
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  return /\d+(\.\d+)+\S*/.exec(`${stdout}\n${stderr}`)?.[0] ?? 'unknown';
}

export function openFilesLimit(): number {
  return Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }));
}
