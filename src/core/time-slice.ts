/** Long work in short slices, so that requests are served in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** With a garbage collection of 10 ms on top it stays below 20 ms, the longest that a reload may delay a request. */
const SLICE_MS = 4;

export class TimeSlice {
  #started = performance.now();

  /** Whether the slice is used up: then await `next()`. A separate check, so that most items cost no promise. */
  get over(): boolean {
    return performance.now() - this.#started > SLICE_MS;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#started = performance.now();
  }
}
