/** Random choices that a seed makes again: sfc32 (PractRand's small fast counting generator), seeded by SHA-256. */
import { createHash } from 'node:crypto';

export class Random {
  readonly #state: Uint32Array;

  /** @param seed any text; equal texts give equal sequences */
  constructor(seed: string) {
    const digest = createHash('sha256').update(seed).digest();
    this.#state = Uint32Array.of(digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8), 1);
  }

  /** 0 to 2^32 - 1 */
  next(): number {
    const s = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = s;
    const result = (a + b + d) >>> 0;
    s[3] = d + 1;
    s[0] = b ^ (b >>> 9);
    s[1] = c + (c << 3);
    s[2] = ((c << 21) | (c >>> 11)) + result;
    return result;
  }

  /** 0 to `limit` - 1 */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.next() % limit;
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next();
    return bytes;
  }

  /** Small most of the time, `most` now and then. */
  length(most: number): number {
    return this.below(this.oneIn(8) ? most + 1 : Math.min(most, 16) + 1);
  }
}
