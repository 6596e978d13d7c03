import { randomBytes } from 'node:crypto';

// Two runs of the daemon must not give two things one id, since logs outlive a run; a counter does the rest at no cost.
const run = randomBytes(4).toString('hex');
let count = 0;

/** `c-1a2b3c4d-7`: unique across runs, cheap enough for every exchange. */
export function nextId(kind: 'c' | 'x' | 't'): string {
  count += 1;
  return `${kind}-${run}-${count.toString(36)}`;
}
