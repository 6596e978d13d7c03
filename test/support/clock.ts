/** A clock of a daemon that a test sets, by libfaketime (`hasTool('faketime')`). */
import { execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './daemon.ts';

export interface MovableClock {
  /** Of the daemon. */
  readonly env: NodeJS.ProcessEnv;
  /** To the real time and so much more or less: `+1d`, `-6m`. */
  set(offset: string): void;
}

export function movableClock(): MovableClock {
  const file = join(temporaryDirectory(), 'clock');
  const set = (offset: string): void => {
    writeFileSync(`${file}.new`, offset);
    renameSync(`${file}.new`, file);
  };
  set('+0');
  return {
    // The monotonic clock and the times of files stay real, as when an administrator sets the clock.
    env: {
      LD_PRELOAD: execFileSync('faketime', ['-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim(),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DISABLE_SHM: '1',
      NO_FAKE_STAT: '1',
    },
    set,
  };
}
