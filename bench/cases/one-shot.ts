import { join } from 'node:path';
import { curl } from '../load/curl.ts';
import { freePort, listening } from '../lab/ports.ts';
import { LOAD_CORE, type Spawned, start } from '../lab/processes.ts';
import { bars } from '../report/plot.ts';
import { median, number, ratio, share } from '../statistics.ts';
import type { Bench, Case } from './case.ts';
import { failures, Figures, withAll } from './rounds.ts';

const DELAY_MS = 25;
const VERSIONS = ['TLS 1.3', 'TLS 1.2'] as const;
const KINDS = ['first', 'later', 'later, transfer'] as const;

export const oneShot: Case = {
  id: 'b',
  title: 'A new client process for each call, 50 ms from the origin',
  async run(bench) {
    const rounds = bench.quick ? 1 : 4;
    const later = bench.quick ? 2 : 4;
    const failed = failures(bench);
    const figures = new Figures();
    for (const version of VERSIONS) {
      const { relay, ports } = await farOrigin(bench, version, rounds + 1);
      await withAll(bench, bench.candidates, { targets: ports }, failed, async (started) => {
        for (let round = 0; round <= rounds; round++)
          for (const { candidate, running } of started) {
            const call = () => curl(bench.lab, candidate, running, { target: ports[round] ?? 0, path: '/1k' });
            const add = (kind: (typeof KINDS)[number], value: number): void =>
              figures.add(candidate, `${version} ${kind}`, value);
            try {
              const first = await call();
              const times = [];
              for (let i = 0; i < later; i++) times.push(await call());
              // Round 0 warms up: code that runs for the first time is another measurement.
              if (round === 0) continue;
              const laterMs = median(times.map(({ processMs }) => processMs));
              bench.say(
                `  ${candidate.name}, ${version}: first ${number(first.processMs)} ms, later ${number(laterMs)} ms`,
              );
              add('first', first.processMs);
              add('later', laterMs);
              add('later, transfer', median(times.map(({ transferMs }) => transferMs)));
            } catch (error) {
              failed.note(candidate, error);
              for (const kind of KINDS) add(kind, NaN);
            }
          }
      });
      await relay.stop();
    }
    const ofDirect = (name: string, kind: string): number =>
      ratio(figures.of({ name }, kind), figures.of({ name: 'direct' }, kind));
    return {
      how: `curl, from the start of its process to its end, to the origin behind a relay that delays each direction by ${DELAY_MS} ms; ${rounds} rounds, each with a new authority, and ${later} calls after the first. "Transfer" is curl's own time, without the loading of its libraries. Direct takes three round trips on TLS 1.3 and four on 1.2; a pooled call takes one.`,
      tables: VERSIONS.map((version) => ({
        head: [
          `origin on ${version}`,
          'first call, ms',
          'of direct',
          'later call, ms',
          'of direct',
          'its transfer, ms',
          'of direct',
        ],
        rows: bench.candidates.map((candidate) => [
          candidate.name,
          ...KINDS.flatMap((kind) => [
            number(median(figures.of(candidate, `${version} ${kind}`))),
            share(ofDirect(candidate.name, `${version} ${kind}`)),
          ]),
        ]),
      })),
      aims: VERSIONS.flatMap((version) => [
        { what: `a later call, of direct, ${version}`, atMost: 0.35, measured: ofDirect('mtlsd', `${version} later`) },
        {
          what: `the first call, of direct, ${version}`,
          atMost: 1.08,
          measured: ofDirect('mtlsd', `${version} first`),
        },
      ]),
      plots: [
        {
          name: 'one-shot',
          title: 'Time per call',
          svg: bars(
            'A new curl for each call, TLS 1.3, ms (shorter is better)',
            ['first call', 'later calls'],
            bench.candidates.map((candidate) => ({
              name: candidate.name,
              values: ['first', 'later'].map((kind) => median(figures.of(candidate, `TLS 1.3 ${kind}`))),
            })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};

/** A port for each round: the first call of a round is the first to that authority. */
async function farOrigin(
  bench: Bench,
  version: (typeof VERSIONS)[number],
  count: number,
): Promise<{ relay: Spawned; ports: readonly number[] }> {
  const ports: number[] = [];
  for (let at = 0; at < count; at++) ports.push(await freePort());
  const to = version === 'TLS 1.2' ? bench.lab.origin.tls12Port : bench.lab.origin.port;
  const program = join(import.meta.dirname, '../programs/relay.ts');
  const options = JSON.stringify({ to, ports, delayMs: DELAY_MS });
  const relay = start(process.execPath, [program, options], { core: LOAD_CORE });
  await listening(ports.at(-1) ?? 0, relay);
  return { relay, ports };
}
