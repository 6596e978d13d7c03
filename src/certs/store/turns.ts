/** Long work in short turns, so that requests are served in between. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A request waits no longer than this for a reload; the aim for everything on the main thread is 20 ms. */
const longestTurnMs = 5;

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
