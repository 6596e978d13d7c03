/**
 * V8 (13.6) lets its young generation grow to 64 MB under load, which no processor's cache holds; left at its first size it is
 * collected too often, at some 6 % of the time (docs/performance.md).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves, as V8 tells them. */
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
