/** Work that may wait a moment, done for many in a row: out of warm caches it costs a third of what it does between others'. */

export interface Gathering<T> {
  add(item: T): void;
  /** Does at once what is waiting. */
  flush(): void;
}

/** @param ms the longest that an item waits; `turn` for the rest of this turn of the event loop */
export function gather<T>(ms: number | 'turn', use: (item: T) => void): Gathering<T> {
  let waiting: T[] = [];
  const flush = (): void => {
    const items = waiting;
    waiting = [];
    for (const item of items) use(item);
  };
  const soon = ms === 'turn' ? () => setImmediate(flush) : () => setTimeout(flush, ms);
  return {
    add(item) {
      if (waiting.length === 0) soon();
      waiting.push(item);
    },
    flush,
  };
}
