/** Runs surfaces: so many inputs each, all made again by their seed. */
import { Random } from './random.ts';
import type { Surface, Target } from './surface.ts';

export interface Finding {
  readonly index: number;
  /** Made as small as it goes. */
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Result {
  readonly inputs: number;
  readonly ms: number;
  /** The longest that one input took. */
  readonly slowestMs: number;
  readonly finding: Finding | null;
}

export interface RunOptions {
  readonly seed: number;
  readonly count: number;
}

/** No input may hold the event loop, and with it every other exchange, for longer. */
const LONGEST_MS = 1_000;

/** Ends at the first finding. */
export async function fuzz(surface: Surface, { seed, count }: RunOptions): Promise<Result> {
  const target = await surface.open();
  const started = performance.now();
  let slowestMs = 0;
  try {
    for (let index = 0; index < count; index++) {
      const input = target.make(new Random(`${surface.name} ${seed} ${index}`));
      const before = performance.now();
      const error = await failureOf(target, input);
      slowestMs = Math.max(slowestMs, performance.now() - before);
      if (error === null) continue;
      const finding = { index, input: await shrink(target, input), error };
      return { inputs: index + 1, ms: performance.now() - started, slowestMs, finding };
    }
    return { inputs: count, ms: performance.now() - started, slowestMs, finding: null };
  } finally {
    await target.close?.();
  }
}

async function failureOf(target: Target, input: Buffer): Promise<unknown> {
  const before = performance.now();
  try {
    await target.check(input);
  } catch (error) {
    return error ?? new Error('nothing was thrown');
  }
  // Measured twice: on a busy machine one wait proves nothing.
  if (performance.now() - before < LONGEST_MS) return null;
  const again = performance.now();
  await target.check(input);
  const ms = performance.now() - again;
  return ms < LONGEST_MS ? null : new Error(`took ${Math.round(ms)} ms`);
}

/** Leaves out ever smaller parts for as long as it still fails. */
async function shrink(target: Target, input: Buffer): Promise<Buffer> {
  let smallest = input;
  for (let size = input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < smallest.length; ) {
      const shorter = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if ((await failureOf(target, shorter)) === null) at += size;
      else smallest = shorter;
    }
  }
  return smallest;
}
