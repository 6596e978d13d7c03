import { setTimeout as sleep } from 'node:timers/promises';
import { memory } from '../lab/processes.ts';
import { bars } from '../report/plot.ts';
import { median, number } from '../statistics.ts';
import type { Case } from './case.ts';
import { failures, Figures, withOne } from './rounds.ts';

export const startUp: Case = {
  id: 'f',
  title: 'Start, and memory when idle',
  async run(bench) {
    const rounds = bench.quick ? 1 : 5;
    const candidates = bench.candidates.filter(({ kind }) => kind !== 'direct');
    const failed = failures(bench);
    const figures = new Figures();
    for (let round = 0; round < rounds; round++)
      for (const candidate of candidates)
        await withOne(bench, candidate, {}, failed, async (running) => {
          await sleep(2_000);
          const { nowMb } = memory(running.pid);
          bench.say(`  ${candidate.name}: ${number(running.startMs)} ms, ${number(nowMb)} MB`);
          figures.add(candidate, 'start', running.startMs);
          figures.add(candidate, 'memory', nowMb);
        });
    const middle = (name: string, kind: string): number => median(figures.of({ name }, kind));
    return {
      how: `Time from the start of the process until it accepts a connection, and the resident memory of all its processes two seconds later; ${rounds} rounds.`,
      tables: [
        {
          head: ['candidate', 'start to listening, ms', 'idle memory, MB'],
          rows: candidates.map(({ name }) => [name, number(middle(name, 'start')), number(middle(name, 'memory'))]),
        },
      ],
      aims: [
        { what: 'start to listening', atMost: 400, unit: 'ms', measured: middle('mtlsd', 'start') },
        { what: 'idle memory', atMost: 88, unit: 'MB', measured: middle('mtlsd', 'memory') },
      ],
      plots: [
        {
          name: 'start',
          title: 'Start and idle memory',
          svg: bars(
            'Start to listening, ms, and idle memory, MB (shorter is better)',
            ['start, ms', 'memory, MB'],
            candidates.map(({ name }) => ({ name, values: [middle(name, 'start'), middle(name, 'memory')] })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};
