import { expect, test } from 'vitest';
import { Random } from '../../../fuzz/random.ts';
import { http1 } from '../../../fuzz/surfaces/http1.ts';

/** A long run: `HTTP1_INPUTS=1000000`. */
const COUNT = Number(process.env.HTTP1_INPUTS ?? 20_000);

test('the HTTP/1.1 readers give the same events for any split, and fail with their own errors alone', async () => {
  const target = await http1.open();
  const random = new Random('http1 1');
  let inputs = 0;
  for (; inputs < COUNT; inputs++) {
    const input = target.make(random);
    try {
      await target.check(input);
    } catch (error) {
      throw new Error(`input ${inputs}, ${input.toString('base64')}`, { cause: error });
    }
  }
  expect(inputs).toBe(COUNT);
}, 600_000);
