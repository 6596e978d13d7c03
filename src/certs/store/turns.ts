/** Long work in short turns, so that requests are served in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** With a garbage collection of 10 ms on top still below 20 ms, the longest that a reload may hold up a request. */
const longestTurnMs = 4;

export class Turns {
  #started = performance.now();

  /** Whether the turn is used up; then await `next()`. Apart from it, so that items cost no promise each. */
  get over(): boolean {
    return performance.now() - this.#started > longestTurnMs;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#started = performance.now();
  }
}
