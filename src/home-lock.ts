/**
 * One daemon for a home folder at a time: run.lock is locked by the kernel for as long as the process lives, so neither a kill
 * nor a process id that is used again leaves a wrong answer. Node has no file locks; SQLite's is fcntl's, on Windows
 * LockFileEx.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { badConfiguration } from './core/errors.ts';
import { lastRun } from './run-file.ts';

/** SQLITE_BUSY (https://sqlite.org/rescode.html#busy). */
const BUSY = 5;

/**
 * @param onUnlockable called where the file system has no locks, so that a second daemon is not detected
 * @returns what releases it
 * @throws MtlsdError BAD_CONFIGURATION naming the daemon that runs
 */
export async function lockHome(home: string, onUnlockable: (why: string) => void): Promise<() => void> {
  const file = join(home, 'run.lock');
  // SQLite would make it readable for others.
  await (await open(file, 'a', 0o600)).close();
  const lock = new DatabaseSync(file, { timeout: 0 });
  try {
    lock.exec('BEGIN IMMEDIATE');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== BUSY) {
      onUnlockable(`${file} can't be locked: ${(error as Error).message}`);
      return () => {};
    }
    throw badConfiguration(
      `a daemon runs for ${home} already: ${await whoRuns(home)}`,
      'mtlsd status shows it; stop it, or name another home with --home DIR',
    );
  }
  return () => lock.close();
}

async function whoRuns(home: string): Promise<string> {
  const run = await lastRun(home);
  if (!run) return 'it is starting, or has no run.json';
  return `process ${run.pid}, proxy ${run.proxy.join(' and ')}, admin ${run.admin}`;
}
