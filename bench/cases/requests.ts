import { bars } from '../report/plot.ts';
import { median, number, ratio, share } from '../statistics.ts';
import { wrk } from '../load/wrk.ts';
import type { Case, Table } from './case.ts';
import { failures, Figures, withAll } from './rounds.ts';

export const requests: Case = {
  id: 'a',
  title: 'Small requests on kept-alive connections',
  async run(bench) {
    const kinds = bench.quick ? [32] : [32, 256];
    const rounds = bench.quick ? 1 : 4;
    const seconds = bench.quick ? 1 : 2;
    const failed = failures(bench);
    const figures = new Figures();
    await withAll(bench, bench.candidates, {}, failed, async (started) => {
      // Compilers that work at run time need some thousand requests.
      if (!bench.quick)
        for (const { candidate, running } of started)
          await wrk(bench.lab, candidate, running, { connections: 32, seconds: 3 }).catch(() => null);
      for (let round = 0; round < rounds; round++)
        for (const connections of kinds)
          for (const { candidate, running } of started) {
            const add = (kind: string, value: number): void => figures.add(candidate, `${kind} ${connections}`, value);
            try {
              const result = await wrk(bench.lab, candidate, running, { connections, seconds });
              bench.say(
                `  ${candidate.name}, ${connections}: ${number(result.cpuUs)} µs, ${number(result.perSecond)}/s`,
              );
              if (result.failures > 0) failed.note(candidate, `${result.failures} bad answers`);
              add('cpu', result.cpuUs);
              add('rate', result.perSecond);
              add('p50', result.p50Ms);
              add('p99', result.p99Ms);
            } catch (error) {
              failed.note(candidate, error);
              for (const kind of ['cpu', 'rate', 'p50', 'p99']) add(kind, NaN);
            }
          }
    });
    const table = (connections: number): Table => ({
      head: [
        `${connections} connections`,
        'CPU per request, µs',
        'least, µs',
        'of Squid',
        'requests/s',
        'p50, ms',
        'p99, ms',
      ],
      rows: bench.candidates.map((candidate) => {
        const cpu = figures.of(candidate, `cpu ${connections}`);
        const middle = (kind: string): number => median(figures.of(candidate, `${kind} ${connections}`));
        const isDirect = candidate.kind === 'direct';
        return [
          candidate.name,
          isDirect ? '–' : number(median(cpu)),
          isDirect ? '–' : number(Math.min(...cpu)),
          isDirect ? '–' : share(ratio(cpu, figures.of({ name: 'Squid ssl-bump' }, `cpu ${connections}`))),
          number(middle('rate')),
          number(middle('p50'), 1),
          number(middle('p99'), 1),
        ];
      }),
    });
    const ofOther = (what: string, name: string): number =>
      ratio(figures.of({ name: 'mtlsd' }, what), figures.of({ name }, what));
    return {
      how: `1 KB responses as fast as possible, ${rounds} rounds of ${seconds} s each, in turns. CPU is user and system time of the proxy's processes; "least" is the best round. Direct is without a client certificate, because wrk can't present one.`,
      tables: kinds.map(table),
      aims: [
        ...kinds.flatMap((connections) => [
          {
            what: `CPU per request, of Squid (${connections} connections)`,
            atMost: 0.6,
            measured: ofOther(`cpu ${connections}`, 'Squid ssl-bump'),
          },
          {
            what: `CPU per request, of the bare pipe (${connections} connections)`,
            atMost: 1.5,
            measured: ofOther(`cpu ${connections}`, 'bare pipe'),
          },
        ]),
        { what: 'p99, of Squid (32 connections)', atMost: 1.5, measured: ofOther('p99 32', 'Squid ssl-bump') },
        {
          what: 'CPU per request, of http-mitm-proxy (32 connections)',
          atMost: 0.33,
          measured: ofOther('cpu 32', 'http-mitm-proxy'),
        },
      ],
      plots: [
        {
          name: 'requests',
          title: 'CPU per request',
          svg: bars(
            'CPU per request of 1 KB, µs (shorter is better)',
            kinds.map((c) => `${c} connections`),
            [
              ...bench.candidates
                .filter(({ kind }) => kind !== 'direct')
                .map((candidate) => ({
                  name: candidate.name,
                  values: kinds.map((c) => median(figures.of(candidate, `cpu ${c}`))),
                })),
            ],
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};
