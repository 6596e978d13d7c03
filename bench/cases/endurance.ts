import { setTimeout as sleep } from 'node:timers/promises';
import { startWrk } from '../load/wrk.ts';
import { cpuMs, memory } from '../lab/processes.ts';
import { line } from '../report/plot.ts';
import { median, number } from '../statistics.ts';
import type { Case } from './case.ts';
import { failures, withOne } from './rounds.ts';

interface Sample {
  readonly requests: number;
  readonly mb: number;
}

export const endurance: Case = {
  id: 'i',
  title: 'A million requests in one go',
  async run(bench) {
    const goal = bench.quick ? 20_000 : 1_000_000;
    const failed = failures(bench);
    const samples: Sample[] = [];
    const candidate = bench.candidates.find(({ name }) => name === 'mtlsd');
    if (!candidate) throw new Error('mtlsd is not among the candidates');
    let cpuUs = NaN;
    await withOne(bench, candidate, {}, failed, async (running) => {
      const first = await bench.lab.origin.requests();
      // Bounded in every case.
      const seconds = bench.quick ? 30 : 600;
      const load = startWrk(bench.lab, candidate, running, { connections: 32, seconds });
      const begun = cpuMs(running.pid);
      let requests = 0;
      for (let second = 0; requests < goal && second < seconds && load.child.exitCode === null; second++) {
        requests = (await bench.lab.origin.requests()) - first - second - 1;
        samples.push({ requests, mb: memory(running.pid).nowMb });
        if (second % 20 === 0) bench.say(`  ${number(requests)} requests, ${number(samples.at(-1)?.mb ?? NaN)} MB`);
        await sleep(1_000);
      }
      cpuUs = ((cpuMs(running.pid) - begun) * 1000) / requests;
      await load.stop();
    });
    const between = (from: number, to: number): number =>
      median(
        samples
          .filter(({ requests }) => requests >= from * goal && (to === 1 || requests <= to * goal))
          .map(({ mb }) => mb),
      );
    const peak = Math.max(...samples.map(({ mb }) => mb));
    return {
      how: `mtlsd alone, ${number(goal)} requests of 1 KB on 32 connections, logging on; its resident memory every second. ${number(cpuUs)} µs of CPU per request over the whole run.`,
      tables: [
        {
          head: ['', 'first tenth', 'second tenth', 'middle', 'last tenth', 'at most'],
          rows: [
            [
              'resident memory, MB',
              number(between(0, 0.1)),
              number(between(0.1, 0.2)),
              number(between(0.45, 0.55)),
              number(between(0.9, 1)),
              number(peak),
            ],
          ],
        },
      ],
      aims: [{ what: 'resident memory, last tenth', atMost: 160, unit: 'MB', measured: between(0.9, 1) }],
      plots: [
        {
          name: 'endurance',
          title: 'Memory over a million requests',
          svg: line(
            'Resident memory of mtlsd, MB, over requests',
            samples.map(({ requests, mb }) => ({ x: requests, y: mb })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};
