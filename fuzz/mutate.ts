/** Valid inputs made wrong: what a parser meets that was written for the right ones. */
import type { Random } from './random.ts';

export interface Material {
  /** Valid inputs, to begin with. */
  readonly seeds: readonly Buffer[];
  /** What the format gives a meaning to: keywords, tags, punctuation. */
  readonly tokens: readonly Buffer[];
}

/** Larger inputs are cut: the limits of the readers are below it, and time is better spent on many small ones. */
const LONGEST = 64 * 1024;

/** One to eight changes of one valid input; now and then bytes that were never valid. */
export function mutate(random: Random, { seeds, tokens }: Material): Buffer {
  if (random.oneIn(50)) return random.bytes(random.length(2000));
  let input = Buffer.from(random.pick(seeds));
  for (let changes = 1 + random.below(8); changes > 0; changes--) {
    input = change(random, input, seeds, tokens).subarray(0, LONGEST);
  }
  return input;
}

function change(
  random: Random,
  input: Buffer,
  seeds: readonly Buffer[],
  tokens: readonly Buffer[],
): Buffer<ArrayBuffer> {
  const at = random.below(input.length + 1);
  const length = Math.min(random.length(400), input.length - at);
  const before = input.subarray(0, at);
  const after = input.subarray(at + length);
  switch (random.below(9)) {
    case 0:
      return flipped(input, at, 1 << random.below(8));
    case 1:
      return replaced(input, at, random.pick(EDGES));
    case 2: // cut out
      return Buffer.concat([before, after]);
    case 3: // cut off
      return Buffer.from(before);
    case 4: // twice
      return Buffer.concat([before, input.subarray(at, at + length), input.subarray(at)]);
    case 5: // a part of another one
      return Buffer.concat([before, part(random, random.pick(seeds)), after]);
    case 6:
      return tokens.length === 0 ? flipped(input, at, 0xff) : Buffer.concat([before, random.pick(tokens), after]);
    case 7:
      return Buffer.concat([before, random.bytes(random.length(40)), input.subarray(at)]);
    default: // many times: what is counted, nested or matched backwards
      return Buffer.concat([before, repeated(random, part(random, input), tokens), input.subarray(at)]);
  }
}

/** Where lengths and counts turn over. */
const EDGES = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xfe, 0xff, 0x0a, 0x0d, 0x20] as const;

function flipped(input: Buffer, at: number, bits: number): Buffer<ArrayBuffer> {
  return replaced(input, at, (input[at] ?? 0) ^ bits);
}

function replaced(input: Buffer, at: number, byte: number): Buffer<ArrayBuffer> {
  const copy = Buffer.from(input);
  if (at < copy.length) copy[at] = byte;
  return copy;
}

function part(random: Random, input: Buffer): Buffer {
  const from = random.below(input.length + 1);
  return input.subarray(from, from + random.length(200));
}

function repeated(random: Random, own: Buffer, tokens: readonly Buffer[]): Buffer {
  const unit = tokens.length > 0 && random.oneIn(2) ? random.pick(tokens) : own;
  return Buffer.concat(Array.from({ length: random.length(300) }, () => unit));
}
