/**
 * Settings of V8's garbage collector (13.6) for a daemon under load. Each figure is measured: docs/performance.md.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Of the young generation, both halves, as V8 reports them: by default it grows beyond what a processor's cache holds. */
const LARGEST = 16 * 1024 * 1024;

export function tuneCollector(): void {
  // A full mark of a heap of 20 MB after each growth by 3, as records make it grow, takes 3 µs of a small request.
  setFlagsFromString('--heap-growing-percent=150');
  // At rest V8 collects as if memory were short: it drops compiled code and shrinks the young generation to its first size, and
  // the next burst starts cold. With this flag it only collects.
  setFlagsFromString('--no-memory-reducer-favors-memory');
  // V8 honors a bound of the young generation at the start only; by how much it grows, at any time.
  let factor = 0;
  const observer = new PerformanceObserver(() => {
    const size = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? LARGEST;
    // In one step: it may grow only once as much survived as it holds.
    const next = Math.max(1, Math.floor(LARGEST / size));
    if (next === factor) return;
    factor = next;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}
