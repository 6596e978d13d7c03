/**
 * A proxy's garbage is short-lived buffers, whose memory a scavenge frees. V8 (13.6) counts only the small objects that hold
 * them, and lets the young generation grow until a hundred megabytes of them lie about. Left at its first size it is scavenged
 * too often, at some 6 % of the time under load; with this the memory stays and so does the speed (docs/performance.md).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves, as V8 tells them: so much is in the processor's cache. */
const LARGEST = 16 * 1024 * 1024;

/** Lets it grow to 16 MB and no further. V8's own flag for that is heeded at the start only; growing can be ended at any time. */
export function boundYoungGeneration(): void {
  let grows = true;
  const observer = new PerformanceObserver(() => {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    const mayGrow = (space?.space_size ?? 0) < LARGEST;
    if (mayGrow === grows) return;
    grows = mayGrow; // V8 makes it small again where there is little to do
    setFlagsFromString(`--semi-space-growth-factor=${grows ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}
