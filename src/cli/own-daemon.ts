/** A daemon for the life of one command, on free ports. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CliError } from './errors.ts';

/**
 * @returns what ends it
 * @throws CliError where it does not start, with its own first line
 */
export async function startOwnDaemon(home: string): Promise<() => Promise<void>> {
  const [, bin = ''] = process.argv;
  const args = [
    bin,
    'start',
    '--home',
    home,
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    '--log-format',
    'json',
  ];
  // In a separate session, so that Ctrl-C reaches the command alone; the daemon ends after it.
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, 10_000);
  });
  const ready = new Promise<boolean>((resolve) => {
    const lines = createInterface({ input: child.stdout });
    // The rest of its log is read too, since a full pipe would block the daemon.
    lines.on('line', (line) => {
      if (line.includes('"event":"daemon.ready"')) resolve(true);
    });
    void exited.then(() => resolve(false));
  });
  if (!(await ready)) {
    const [first = 'it ended at once'] = said.replace(/^mtlsd: /, '').split('\n');
    throw new CliError(`the daemon does not start: ${first}`, 'mtlsd start shows why');
  }
  return async () => {
    child.kill('SIGTERM');
    await exited;
  };
}
