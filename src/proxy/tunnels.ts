/** Tunnels and WebSockets under way: where the settings say `end_tunnels`, they end as the store withdraws what they were made with. */
import type { StoreSnapshot } from '../certs/store/snapshot.ts';

/** Whether the store still decides what a tunnel was made with. */
export type StillDecided = (next: StoreSnapshot) => boolean;

export class Tunnels {
  readonly #store: () => StoreSnapshot;
  readonly #ends: boolean;
  readonly #held = new Map<() => void, StillDecided>();

  constructor(store: () => StoreSnapshot, ends: boolean) {
    this.#store = store;
    this.#ends = ends;
  }

  /**
   * @param end called where the store withdraws it, also where that happened while the way was made
   * @returns forgets it
   */
  hold(end: () => void, still: StillDecided): () => void {
    if (!this.#ends) return () => {};
    this.#held.set(end, still);
    if (!still(this.#store())) queueMicrotask(end);
    return () => this.#held.delete(end);
  }

  storeChanged(next: StoreSnapshot): void {
    for (const [end, still] of this.#held) if (!still(next)) end();
  }
}
