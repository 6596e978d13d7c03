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
/** Between two looks at what is still held. */
const SETTLE_EVERY = 5_000;

/** Ends at the first finding. */
export async function fuzz(surface: Surface, { seed, count }: RunOptions): Promise<Result> {
  const target = await surface.open();
  const started = performance.now();
  const input = (index: number): Buffer => target.make(new Random(`${surface.name} ${seed} ${index}`));
  let slowestMs = 0;
  let inputs = 0;
  const result = (finding: Finding | null): Result => ({
    inputs,
    ms: performance.now() - started,
    slowestMs,
    finding,
  });
  try {
    for (let from = 0; from < count; from += SETTLE_EVERY) {
      const until = Math.min(count, from + SETTLE_EVERY);
      let failed: Finding | null = null;
      await Promise.all(
        Array.from({ length: target.lanes ?? 1 }, async () => {
          while (inputs < until && !failed) {
            const index = inputs++;
            const before = performance.now();
            const bytes = input(index);
            const error = await failureOf(target, bytes);
            slowestMs = Math.max(slowestMs, performance.now() - before);
            if (error !== null) failed ??= { index, input: bytes, error };
          }
        }),
      );
      failed ??= await settled(target, inputs);
      if (failed) return result(await smallest(target, failed, input, from));
    }
    return result(null);
  } finally {
    await target.close?.();
  }
}

async function settled(target: Target, inputs: number): Promise<Finding | null> {
  try {
    await target.settle?.();
    return null;
  } catch (error) {
    return { index: inputs - 1, input: Buffer.alloc(0), error };
  }
}

/** Of inputs that ran side by side, the one that fails alone; where none does, what was seen. */
async function smallest(
  target: Target,
  failed: Finding,
  input: (index: number) => Buffer,
  from: number,
): Promise<Finding> {
  const lanes = target.lanes ?? 1;
  if (lanes === 1) return { ...failed, input: await shrink(target, failed.input) };
  for (let index = failed.index; index >= Math.max(from, failed.index - 4 * lanes); index--) {
    const bytes = input(index);
    const error = await failureOf(target, bytes);
    if (error !== null) return { index, input: await shrink(target, bytes), error };
  }
  return failed;
}

async function failureOf(target: Target, input: Buffer): Promise<unknown> {
  const before = performance.now();
  try {
    await target.check(input);
  } catch (error) {
    return error ?? new Error('nothing was thrown');
  }
  // Measured twice: on a busy machine one wait proves nothing. Side by side, an input waits for others.
  if (target.lanes !== undefined || performance.now() - before < LONGEST_MS) return null;
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
