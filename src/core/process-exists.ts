import { nativeCode } from './errors.ts';

/** Whether a process of this number runs, also one of another user. */
export function processExists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return nativeCode(error) === 'EPERM';
  }
}
