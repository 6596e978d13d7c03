/** For `node --import`: SIGUSR2 starts a CPU profile, the next one writes it to $BENCH_PROFILE. So neither start nor warm-up is in it. */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const session = new Session();
session.connect();
let profiling = false;

async function toggle(): Promise<void> {
  profiling = !profiling;
  if (profiling) {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 200 });
    await session.post('Profiler.start');
    return;
  }
  const { profile } = await session.post('Profiler.stop');
  writeFileSync(process.env.BENCH_PROFILE ?? 'bench.cpuprofile', JSON.stringify(profile));
}

process.on('SIGUSR2', () => void toggle());
