/** For `node --import`: SIGUSR2 starts to watch the event loop's delay, the next one writes what it was to $BENCH_LOOP_DELAY. */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

const monitor = monitorEventLoopDelay({ resolution: 1 });
let watching = false;
process.on('SIGUSR2', () => {
  watching = !watching;
  if (watching) {
    monitor.reset();
    monitor.enable();
    return;
  }
  monitor.disable();
  const delay: LoopDelay = { p99Ms: monitor.percentile(99) / 1e6, maxMs: monitor.max / 1e6 };
  writeFileSync(process.env.BENCH_LOOP_DELAY ?? 'loop-delay.json', JSON.stringify(delay));
});
