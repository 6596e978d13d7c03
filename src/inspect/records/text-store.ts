/**
 * Text that is kept long and read seldom, outside of V8's heap, where the collector would copy it twice and mark it repeatedly:
 * a good part of the cost of a small request.
 */

/** Freed as a whole, once all of its texts are dropped; texts of one time are dropped together. */
const BLOCK_BYTES = 64 * 1024;

export class StoredText {
  readonly #block: Buffer;
  readonly #start: number;
  readonly byteLength: number;

  constructor(block: Buffer, start: number, byteLength: number) {
    this.#block = block;
    this.#start = start;
    this.byteLength = byteLength;
  }

  toString(): string {
    return this.#block.toString('utf8', this.#start, this.#start + this.byteLength);
  }
}

export class TextStore {
  #block = Buffer.alloc(0);
  #used = 0;

  add(text: string): StoredText {
    // UTF-8 takes three bytes at most for each of JavaScript's units.
    const most = text.length * 3;
    if (this.#used + most > this.#block.byteLength) {
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, most));
      this.#used = 0;
    }
    const start = this.#used;
    const byteLength = this.#block.write(text, start, 'utf8');
    this.#used += byteLength;
    return new StoredText(this.#block, start, byteLength);
  }
}
