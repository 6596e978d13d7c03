import { describe, expect, test } from 'vitest';
import { fuzz } from '../../fuzz/fuzz.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { Random } from '../../fuzz/random.ts';
import type { Surface } from '../../fuzz/surface.ts';

const seeds = [Buffer.from('a valid input of some length'), Buffer.from('another one')];
const made = (seed: string): string =>
  mutate(new Random(seed), { seeds, tokens: [Buffer.from('token')] }).toString('latin1');

describe('inputs', () => {
  test('are the same for the same seed, and differ for others', () => {
    const all = Array.from({ length: 500 }, (_, index) => made(`1 ${index}`));
    expect(all).toEqual(Array.from({ length: 500 }, (_, index) => made(`1 ${index}`)));
    expect(new Set(all).size).toBeGreaterThan(450);
  });

  test('are drawn evenly', () => {
    const random = new Random('even');
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i++) counts[random.below(10)] = (counts[random.below(10)] ?? 0) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(800);
  });
});

function surface(check: (input: Buffer) => void | Promise<void>): Surface {
  return {
    name: 'test',
    share: 1,
    open: async () => ({ make: (random) => mutate(random, { seeds, tokens: [] }), check }),
  };
}

describe('a run', () => {
  test('ends at the first input that does what none may, and makes it small', async () => {
    const broken = surface((input) => {
      if (input.includes('vv') || input.includes(0xff)) throw new TypeError('crashed');
    });
    const { finding, inputs } = await fuzz(broken, { seed: 1, count: 100_000 });
    expect(finding?.error).toEqual(new TypeError('crashed'));
    expect(inputs).toBe((finding?.index ?? 0) + 1);
    expect(['vv', '\xff']).toContain(finding?.input.toString('latin1'));
  });

  test('finds a promise that rejects, and one that takes too long', async () => {
    const rejecting = surface(async () => Promise.reject(new Error('later')));
    expect((await fuzz(rejecting, { seed: 1, count: 1 })).finding?.error).toEqual(new Error('later'));
    // Of no length, so that it is not made smaller a second at a time.
    const slow = { make: () => Buffer.alloc(0), check: busyFor(1_050) };
    const { finding } = await fuzz({ name: 'test', share: 1, open: async () => slow }, { seed: 1, count: 1 });
    expect(String(finding?.error)).toMatch(/took 1\d{3} ms/);
  });

  test('closes what it opened', async () => {
    let closed = 0;
    const target = { make: () => Buffer.alloc(1), check: () => {}, close: async () => void closed++ };
    expect((await fuzz({ name: 'test', share: 1, open: async () => target }, { seed: 1, count: 3 })).inputs).toBe(3);
    expect(closed).toBe(1);
  });
});

const busyFor = (ms: number) => (): void => {
  for (const end = performance.now() + ms; performance.now() < end; );
};
