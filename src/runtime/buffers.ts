/**
 * A proxy's garbage is the buffers that bodies came in. V8 (13.6) counts only the small objects that hold them, so that its
 * cheap collection of young objects comes too late: after 64 MB of buffers it marks the whole heap instead, for a third of all
 * the time that a large body takes (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Well below what makes V8 mark; a collection takes less than a millisecond. */
const BYTES_BETWEEN = 16 * 1024 * 1024;

type CollectGarbage = (options: { readonly type: 'minor' }) => void;

let bytes = 0;
let collect: CollectGarbage | null = null;

/** Tells of a buffer that was filled and has done its work, or soon will have. */
export function buffered(byteLength: number): void {
  bytes += byteLength;
  if (bytes < BYTES_BETWEEN) return;
  bytes = 0;
  setImmediate(collectYoung);
}

function collectYoung(): void {
  // There is no other way to it but a flag at the start, which a program can't give itself.
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as CollectGarbage;
  }
  collect({ type: 'minor' });
}
