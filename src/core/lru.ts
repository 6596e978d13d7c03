/** The last used of many things, up to a number. */
export class Lru<K, V> {
  readonly #most: number;
  readonly #onDrop: (value: V) => void;
  readonly #kept = new Map<K, V>();

  /** @param onDrop called with a value that another one replaces, or that is the least recently used of too many */
  constructor(most: number, onDrop: (value: V) => void = () => {}) {
    this.#most = most;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The value, which counts as used now. */
  get(key: K): V | undefined {
    const value = this.#kept.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    const before = this.#kept.get(key);
    this.#kept.delete(key);
    this.#kept.set(key, value);
    if (before !== undefined && before !== value) this.#onDrop(before);
    if (this.#kept.size <= this.#most) return;
    const [oldest] = this.#kept;
    if (!oldest) return;
    this.#kept.delete(oldest[0]);
    this.#onDrop(oldest[1]);
  }

  delete(key: K): void {
    this.#kept.delete(key);
  }
}
