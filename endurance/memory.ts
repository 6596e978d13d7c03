import { readFileSync } from 'node:fs';
import type { RunningDaemon } from '../test/support/daemon.ts';

/** NaN where there is no procfs. */
export function residentMb({ process: { pid } }: RunningDaemon): number {
  try {
    return Math.round(Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
  } catch {
    return NaN;
  }
}
