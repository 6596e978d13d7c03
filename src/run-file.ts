/** run.json in the home folder: what the command line needs to find the daemon, there while it runs. */
import { readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './core/files/atomic-write.ts';
import { processExists } from './core/process-exists.ts';

export interface RunFile {
  readonly pid: number;
  readonly version: string;
  readonly proxy: readonly string[];
  /** `unix:PATH` each. */
  readonly unix_sockets?: readonly string[];
  /** `http://127.0.0.1:8741` or `unix:PATH`. */
  readonly admin: string;
}

const pathIn = (home: string): string => join(home, 'run.json');

/** @returns what removes it, and a Unix socket with it; it also runs when the process exits without a stop */
export async function writeRunFile(home: string, run: RunFile): Promise<() => void> {
  const path = pathIn(home);
  const text = `${JSON.stringify(run)}\n`;
  await writeAtomically(path, text, { mode: 0o600 });
  const remove = (): void => {
    process.off('exit', remove);
    if (holds(path, text)) rmSync(path);
    if (run.admin.startsWith('unix:')) rmSync(run.admin.slice(5), { force: true });
  };
  process.once('exit', remove);
  return remove;
}

/** The file may be another daemon's, where the home was removed and made again. */
function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text;
  } catch {
    return false;
  }
}

/** As written; the process may be gone. null where there is none. */
export async function lastRun(home: string): Promise<RunFile | null> {
  try {
    return JSON.parse(await readFile(pathIn(home), 'utf8')) as RunFile;
  } catch {
    return null;
  }
}

/**
 * null where no daemon runs: no file, or one that a killed daemon left. Its address may be another program's by now, which must
 * not get the token.
 */
export async function readRunFile(home: string): Promise<RunFile | null> {
  const run = await lastRun(home);
  return run && processExists(run.pid) ? run : null;
}
