/**
 * V8 (13.6) lets its young generation grow to 64 MB under load, which no processor's cache holds; left at its first size it is
 * collected too often, at some 6 % of the time. Of the old one it begins a full mark after every 3 MB of growth, in threads of
 * its own, which take as much again (docs/performance.md).
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves, as V8 tells them. */
const LARGEST = 16 * 1024 * 1024;

/** Lets it grow to 16 MB and no further. V8's own flag for that is heeded at the start only; growing can be ended at any time. */
export function boundYoungGeneration(): void {
  setFlagsFromString('--heap-growing-percent=150');
  setFlagsFromString('--no-memory-reducer-favors-memory');
  let factor = 0;
  const observer = new PerformanceObserver(() => {
    const size = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? LARGEST;
    // In one step: V8 lets it grow once as much survived as it holds, and makes it small again where there is little to do.
    const next = Math.max(1, Math.floor(LARGEST / size));
    if (next === factor) return;
    factor = next;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}
