/** What a candidate did in a stretch of time: its CPU by the operating system, its requests by the origin's count. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../candidates/candidate.ts';
import type { Lab } from '../lab/lab.ts';
import { cpuMs, type Spawned } from '../lab/processes.ts';

export interface Window {
  /** Microseconds of the proxy's CPU for each request; 0 for direct. */
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly requests: number;
}

export async function window(lab: Lab, running: Running, seconds: number): Promise<Window> {
  const cpu = (): number => (running.pid ? cpuMs(running.pid) : 0);
  const before = { cpu: cpu(), requests: await lab.origin.requests(), at: performance.now() };
  await sleep(seconds * 1000);
  const spentMs = cpu() - before.cpu;
  // The counting is a request of its own.
  const requests = (await lab.origin.requests()) - before.requests - 1;
  return {
    cpuUs: (spentMs * 1000) / requests,
    perSecond: (requests * 1000) / (performance.now() - before.at),
    requests,
  };
}

/** Waits until the origin is asked: clients open their connections first, and under load they themselves start slowly. */
export async function untilBusy(lab: Lab, load: Spawned, requests: number): Promise<void> {
  const quiet = await lab.origin.requests();
  for (let asked = 1; (await lab.origin.requests()) - quiet <= asked + requests; asked++) {
    if (load.child.exitCode !== null || asked > 600) throw new Error(`nothing is sent: ${load.output().slice(-500)}`);
    await sleep(100);
  }
  await sleep(300);
}
