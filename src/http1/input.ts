const NOTHING = Buffer.alloc(0);

/** Bytes as they were fed, read in place. There is a byte at `at` in `bytes` unless all are read. */
export class Input {
  bytes: Buffer = NOTHING;
  at = 0;
  #later: Buffer[] = [];
  /** How many of `#later` were taken: shift() of a long array is not constant time. */
  #taken = 0;

  get empty(): boolean {
    return this.bytes.length === 0;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.empty) this.bytes = bytes;
    else this.#later.push(bytes);
  }

  /** Goes on at `at` in `bytes`, or in the buffer after it where that is its end. */
  moveTo(at: number): void {
    this.at = at;
    if (at < this.bytes.length) return;
    this.at = 0;
    this.bytes = this.#later[this.#taken] ?? NOTHING;
    if (this.empty) {
      if (this.#taken > 0) this.#later = [];
      this.#taken = 0;
    } else this.#later[this.#taken++] = NOTHING;
  }

  /** At most `length` bytes, those of one buffer; null where all are read. */
  take(length: number): Buffer | null {
    if (this.empty) return null;
    const end = Math.min(this.bytes.length, this.at + length);
    const piece = this.bytes.subarray(this.at, end);
    this.moveTo(end);
    return piece;
  }

  takeRest(): Buffer {
    const pieces: Buffer[] = [];
    for (let piece = this.take(Infinity); piece; piece = this.take(Infinity)) pieces.push(piece);
    return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  }
}
