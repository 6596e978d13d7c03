/** How the command line finds the daemon: run.json, which is there while it runs, and the token beside it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from './errors.ts';

export interface RunFile {
  readonly pid: number;
  readonly version: string;
  readonly proxy: readonly string[];
  /** `unix:PATH` each, where clients reach the proxy so. */
  readonly unix_sockets?: readonly string[];
  /** `http://127.0.0.1:8741` or `unix:PATH`. */
  readonly admin: string;
}

/** null where no daemon runs: no file, or one that a daemon left that was killed. */
export async function readRunFile(home: string): Promise<RunFile | null> {
  let run: RunFile;
  try {
    run = JSON.parse(await readFile(join(home, 'run.json'), 'utf8')) as RunFile;
  } catch {
    return null;
  }
  return isAlive(run.pid) ? run : null;
}

/** The address may be another program's by now, which must not be handed the token. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export async function readToken(home: string): Promise<string> {
  const path = join(home, 'admin.token');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new CliError(
      `${path} can't be read: ${(error as NodeJS.ErrnoException).code}`,
      'run the command as the user that the daemon runs as',
    );
  }
}

export const notRunning = (home: string): CliError =>
  new CliError(`no daemon runs for ${home}`, 'mtlsd start, or name another home with --home DIR');
