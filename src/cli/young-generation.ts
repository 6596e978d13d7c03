/**
 * A proxy's garbage is short-lived buffers, whose memory a scavenge frees. V8 (13.6) counts only the small objects that hold
 * them, and lets the young generation grow until a hundred megabytes of them lie about. Left at its first size it is scavenged
 * too often, at some 6 % of the time under load; with this the memory stays and so does the speed (docs/performance.md).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves, as V8 tells them: so much is in the processor's cache. */
const LARGEST = 16 * 1024 * 1024;

/** Lets it grow to 16 MB and no further. V8's flag for that is heeded at the start only; growing can be ended later. */
export function boundYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    const size = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;
    if (size < LARGEST) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}
