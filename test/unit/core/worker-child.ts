/** Jobs for worker.test.ts. */
import { CodedError } from '../../../src/core/errors.ts';
import { serveJobs } from '../../../src/core/worker.ts';

serveJobs<string, string, string>(async (job, handOver) => {
  if (job === 'fail') throw new CodedError('NOT_FOUND', 'no such thing', 'look elsewhere', { details: ['a', 'b'] });
  if (job === 'crash') throw new Error('with a secret');
  if (job === 'loop') for (;;);
  if (job === 'fill') for (const all: string[][] = []; ; ) all.push(Array.from({ length: 10_000 }, String));
  for (const part of job) await handOver(part);
  return `done ${job}`;
});
