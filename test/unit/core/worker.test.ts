import { expect, test } from 'vitest';
import { WorkerThread } from '../../../src/core/worker.ts';

const thread = new WorkerThread<string, string>(new URL('./worker-child.ts', import.meta.url), {
  timeLimitMs: 2_000,
  memoryLimitMb: 32,
});

test('jobs run one after another, and each hands over its parts in order', async () => {
  const parts: string[] = [];
  const take = (part: string): void => void parts.push(part);
  expect(await Promise.all([thread.run('ab', take), thread.run('cd', take)])).toEqual(['done ab', 'done cd']);
  expect(parts).toEqual(['a', 'b', 'c', 'd']);
});

test('a failure crosses with its code, hint and details', async () => {
  await expect(thread.run('fail')).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'no such thing',
    hint: 'look elsewhere',
    details: ['a', 'b'],
  });
});

test.each([
  ['crash', 'its thread failed: unknown error'],
  ['loop', 'it takes longer than 2 s'],
  ['fill', 'it takes more than 32 MB of memory'],
])('%s ends its thread, and the next job gets another', async (job, message) => {
  const [failed, next] = await Promise.allSettled([thread.run(job), thread.run('x')]);
  expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'TOO_COSTLY', message } });
  expect(next).toEqual({ status: 'fulfilled', value: 'done x' });
});
