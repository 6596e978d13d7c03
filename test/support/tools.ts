/** Programs that a test needs and a machine may lack: left out with a message, and a failure where MTLSD_TEST_ALL is set (CI). */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export function hasTool(name: string): boolean {
  const found = (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/sbin')
    .some((dir) => {
      try {
        accessSync(join(dir, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (!found && process.env.MTLSD_TEST_ALL)
    throw new Error(`${name} is not installed, and MTLSD_TEST_ALL asks for every test`);
  if (!found) process.stderr.write(`left out: tests that need ${name}, which is not installed\n`);
  return found;
}

/** For tests that mount, or act as several users. */
export function isRoot(): boolean {
  if (process.getuid?.() === 0) return true;
  if (process.env.MTLSD_TEST_ALL) throw new Error('MTLSD_TEST_ALL asks for every test, and some need root');
  process.stderr.write('left out: tests that need root\n');
  return false;
}
