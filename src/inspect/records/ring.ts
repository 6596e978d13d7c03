/** A first-in, first-out list of bounded length: every operation but the reading takes the same few steps. */
export class Ring<T> {
  readonly #slots: (T | undefined)[];
  #first = 0;
  #size = 0;

  constructor(max: number) {
    this.#slots = Array.from({ length: max });
  }

  get size(): number {
    return this.#size;
  }

  get oldest(): T | undefined {
    return this.#slots[this.#first];
  }

  /** @returns what had to make room */
  push(item: T): T | undefined {
    const displaced = this.#size === this.#slots.length ? this.shift() : undefined;
    this.#slots[(this.#first + this.#size) % this.#slots.length] = item;
    this.#size += 1;
    return displaced;
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#first];
    this.#slots[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#slots.length;
    this.#size -= 1;
    return item;
  }

  *newestFirst(): Generator<T> {
    for (let i = this.#size - 1; i >= 0; i--) yield this.#slots[(this.#first + i) % this.#slots.length] as T;
  }
}
