import { startClient } from '../load/client.ts';
import { untilBusy, window } from '../load/window.ts';
import type { H2Report } from '../programs/h2-load.ts';
import { median, number } from '../statistics.ts';
import type { Case } from './case.ts';
import { failures, Figures, withAll } from './rounds.ts';

const STREAMS = 100;
const SIZES = [
  { path: '/1k', name: '1 KB' },
  { path: '/1m', name: '1 MB' },
] as const;

export const http2: Case = {
  id: 'g',
  title: 'HTTP/2, a hundred streams at once',
  async run(bench) {
    const rounds = bench.quick ? 1 : 3;
    const seconds = bench.quick ? 0.5 : 3;
    const candidates = bench.candidates.filter((candidate) => candidate.http2);
    const failed = failures(bench);
    const figures = new Figures();
    await withAll(bench, candidates, {}, failed, async (started) => {
      // The first round warms up.
      for (let round = bench.quick ? 1 : 0; round <= rounds; round++)
        for (const { path, name } of SIZES)
          for (const { candidate, running } of started) {
            const target = candidate.kind === 'direct' ? bench.lab.origin.openPort : bench.lab.origin.port;
            const [host, port] = running.at(target).split(':');
            try {
              const client = startClient<H2Report>('h2-load', {
                ...{ proxy: running.port, host, port: Number(port), path, streams: STREAMS },
                seconds: seconds + 1,
              });
              await untilBusy(bench.lab, client.program, STREAMS);
              const counted = await window(bench.lab, running, seconds);
              const report = await client.report();
              await client.program.ended;
              if (report.failures > 0) failed.note(candidate, `${report.failures} failed: ${report.error}`);
              if (round === 0) continue;
              bench.say(`  ${candidate.name}, ${name}: ${number(counted.cpuUs)} µs, ${number(counted.perSecond)}/s`);
              figures.add(candidate, `cpu ${path}`, counted.cpuUs);
              figures.add(candidate, `rate ${path}`, counted.perSecond);
              figures.add(candidate, `p99 ${path}`, report.p99Ms);
            } catch (error) {
              failed.note(candidate, error);
              for (const kind of ['cpu', 'rate', 'p99']) figures.add(candidate, `${kind} ${path}`, NaN);
            }
          }
    });
    return {
      how: `One connection of Node's own client with ${STREAMS} open streams, ${rounds} rounds of ${seconds} s. The client uses much of its core, so compare CPU, not requests/s. nginx uses HTTP/1.1 to its origin. Squid, http-mitm-proxy and the bare pipe do not have HTTP/2.`,
      tables: [
        {
          head: [
            'candidate',
            ...SIZES.flatMap(({ name }) => [`${name}: CPU per request, µs`, 'requests/s', 'p99, ms']),
          ],
          rows: candidates.map((candidate) => [
            candidate.name,
            ...SIZES.flatMap(({ path }) => {
              const middle = (kind: string): number => median(figures.of(candidate, `${kind} ${path}`));
              return [
                candidate.kind === 'direct' ? '–' : number(middle('cpu')),
                number(middle('rate')),
                number(middle('p99'), 1),
              ];
            }),
          ]),
        },
      ],
      notes: failed.notes,
    };
  },
};
