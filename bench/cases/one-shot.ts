import { join } from 'node:path';
import { curl } from '../load/curl.ts';
import { freePort, listening } from '../lab/ports.ts';
import { LOAD_CORE, start } from '../lab/processes.ts';
import { bars } from '../report/plot.ts';
import { median, number, ratio, share } from '../statistics.ts';
import type { Case } from './case.ts';
import { failures, Figures, withAll } from './rounds.ts';

const DELAY_MS = 25;

export const oneShot: Case = {
  id: 'b',
  title: 'A new client process for each call, 50 ms from the origin',
  async run(bench) {
    const rounds = bench.quick ? 1 : 5;
    const later = bench.quick ? 2 : 4;
    const failed = failures(bench);
    const figures = new Figures();
    // A port for each round: the first call of a round is the first to that authority.
    const ports: number[] = [];
    for (let round = 0; round <= rounds; round++) ports.push(await freePort());
    const relay = start(
      process.execPath,
      [
        join(import.meta.dirname, '../programs/relay.ts'),
        JSON.stringify({ to: bench.lab.origin.port, ports, delayMs: DELAY_MS }),
      ],
      { core: LOAD_CORE },
    );
    await listening(ports.at(-1) ?? 0, relay);
    await withAll(bench, bench.candidates, { targets: ports }, failed, async (started) => {
      for (let round = 0; round <= rounds; round++)
        for (const { candidate, running } of started) {
          const call = (): Promise<number> =>
            curl(bench.lab, candidate, running, { target: ports[round] ?? 0, path: '/1k' });
          try {
            const first = await call();
            const times: number[] = [];
            for (let i = 0; i < later; i++) times.push(await call());
            // Round 0 warms up: code that runs for the first time is another measurement.
            if (round === 0) continue;
            bench.say(`  ${candidate.name}: first ${number(first)} ms, later ${number(median(times))} ms`);
            figures.add(candidate, 'first', first);
            figures.add(candidate, 'later', median(times));
          } catch (error) {
            failed.note(candidate, error);
            for (const kind of ['first', 'later']) figures.add(candidate, kind, NaN);
          }
        }
    });
    await relay.stop();
    const direct = { name: 'direct' };
    return {
      how: `curl, from the start of its process to its end, against the origin behind a relay that delays each way by ${DELAY_MS} ms; ${rounds} rounds, each with an authority that was not called before and ${later} calls after the first.`,
      tables: [
        {
          head: ['candidate', 'first call, ms', 'of direct', 'later call, ms', 'of direct'],
          rows: bench.candidates.map((candidate) => [
            candidate.name,
            ...['first', 'later'].flatMap((kind) => [
              number(median(figures.of(candidate, kind))),
              share(ratio(figures.of(candidate, kind), figures.of(direct, kind))),
            ]),
          ]),
        },
      ],
      aims: [
        {
          what: 'a later call, of direct',
          atMost: 0.35,
          measured: ratio(figures.of({ name: 'mtlsd' }, 'later'), figures.of(direct, 'later')),
        },
        {
          what: 'the first call, of direct',
          atMost: 1.1,
          measured: ratio(figures.of({ name: 'mtlsd' }, 'first'), figures.of(direct, 'first')),
        },
      ],
      plots: [
        {
          name: 'one-shot',
          title: 'Time per call',
          svg: bars(
            'A new curl for each call, ms (shorter is better)',
            ['first call', 'later calls'],
            bench.candidates.map((candidate) => ({
              name: candidate.name,
              values: ['first', 'later'].map((kind) => median(figures.of(candidate, kind))),
            })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};
