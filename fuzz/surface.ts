/** A surface reads bytes from a peer that is not trusted. Each has one file in surfaces/. */
import type { Random } from './random.ts';

export interface Surface {
  readonly name: string;
  /** Of a run's inputs, beside the others': those that are fast take more of them. */
  readonly share: number;
  /** Makes the valid inputs, starts what is needed. */
  open(): Promise<Target>;
}

export interface Target {
  make(random: Random): Buffer;
  /** @throws Error where the input did what no input may do: a crash, an unexpected error, a wait */
  check(input: Buffer): void | Promise<void>;
  /** So many inputs are checked side by side; 1 where left out. Where there are more, `check` bounds its own wait. */
  readonly lanes?: number;
  /** Called now and then with no input under way. @throws Error where something is still held */
  settle?(): Promise<void>;
  close?(): Promise<void>;
}

/** Runs what may throw errors of these kinds alone. */
export function allowing<T>(kinds: readonly (abstract new (...args: never[]) => Error)[], work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (kinds.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}
