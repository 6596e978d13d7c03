/** No proxy: the client shows the certificate itself. */
import type { Candidate } from './candidate.ts';

export const direct: Candidate = {
  name: 'direct',
  kind: 'direct',
  limit: true,
  http2: true,
  missing: () => null,
  start: () =>
    Promise.resolve({
      pid: 0,
      port: null,
      startMs: 0,
      at: (target: number) => `127.0.0.1:${target}`,
      stop: () => Promise.resolve(),
    }),
};
