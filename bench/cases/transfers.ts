import { join } from 'node:path';
import type { Candidate, Running } from '../candidates/candidate.ts';
import { curl } from '../load/curl.ts';
import { cpuMs, forgetPeak, memory } from '../lab/processes.ts';
import { bars } from '../report/plot.ts';
import { median, number, ratio, share } from '../statistics.ts';
import type { Bench, Case } from './case.ts';
import { failures, Figures, withAll } from './rounds.ts';

const DIRECTIONS = ['down', 'up'] as const;

export const transfers: Case = {
  id: 'c',
  title: 'Large bodies',
  async run(bench) {
    const rounds = bench.quick ? 1 : 7;
    const sizes = bench.quick ? (['100m'] as const) : (['100m', '1g'] as const);
    const candidates = bench.candidates.filter(({ kind }) => kind !== 'direct');
    const failed = failures(bench);
    const figures = new Figures();
    await withAll(bench, candidates, {}, failed, async (started) => {
      if (!bench.quick)
        for (const { candidate, running } of started)
          for (const direction of DIRECTIONS)
            await transfer(bench, candidate, running, '100m', direction).catch(() => null); // warm
      // 1 GB is ten times 100 MB: one round of it is steady enough.
      for (const size of sizes)
        for (let round = 0; round < (size === '1g' ? 1 : rounds); round++)
          for (const direction of DIRECTIONS)
            for (const { candidate, running } of started) {
              const name = `${size} ${direction}`;
              try {
                const result = await transfer(bench, candidate, running, size, direction)
                  // Squid gives an upload up now and then, and does not say why.
                  .catch(() => transfer(bench, candidate, running, size, direction));
                bench.say(`  ${candidate.name}, ${name}: ${number(result.cpu)} ms, ${number(result.peak)} MB`);
                for (const kind of ['cpu', 'ms', 'peak'] as const)
                  figures.add(candidate, `${kind} ${name}`, result[kind]);
              } catch (error) {
                failed.note(candidate, error);
                for (const kind of ['cpu', 'ms', 'peak']) figures.add(candidate, `${kind} ${name}`, NaN);
              }
            }
    });
    const pipe = { name: 'bare pipe' };
    const peak = (candidate: Pick<Candidate, 'name'>, size: string): number =>
      Math.max(...DIRECTIONS.flatMap((direction) => figures.of(candidate, `peak ${size} ${direction}`)));
    const aims = DIRECTIONS.map((direction) => ({
      what: `CPU per 100 MB ${direction}, of the bare pipe`,
      atMost: 0.8,
      measured: ratio(
        figures.of({ name: 'mtlsd' }, `cpu 100m ${direction}`),
        figures.of(pipe, `cpu 100m ${direction}`),
      ),
    }));
    return {
      how: `curl on HTTP/1.1, ${rounds} rounds of 100 MB and one of 1 GB, in each direction, in turns. CPU is for 100 MB; memory is the largest resident set.`,
      tables: sizes.map((size) => ({
        head: [
          size === '1g' ? '1 GB' : '100 MB',
          ...DIRECTIONS.flatMap((direction) => [`CPU per 100 MB ${direction}, ms`, 'of the pipe', 'MB/s']),
          'peak memory, MB',
        ],
        rows: candidates.map((candidate) => [
          candidate.name,
          ...DIRECTIONS.flatMap((direction) => {
            const cpu = figures.of(candidate, `cpu ${size} ${direction}`);
            const ms = median(figures.of(candidate, `ms ${size} ${direction}`));
            return [
              number(median(cpu)),
              share(ratio(cpu, figures.of(pipe, `cpu ${size} ${direction}`))),
              number((size === '1g' ? 1e6 : 1e5) / ms),
            ];
          }),
          number(peak(candidate, size)),
        ]),
      })),
      aims: [
        ...aims,
        { what: 'peak memory', atMost: 130, unit: 'MB', measured: peak({ name: 'mtlsd' }, sizes.at(-1) ?? '') },
      ],
      plots: [
        {
          name: 'transfers',
          title: 'CPU for 100 MB',
          svg: bars(
            'CPU for 100 MB, ms (shorter is better)',
            ['down', 'up'],
            candidates.map((candidate) => ({
              name: candidate.name,
              values: DIRECTIONS.map((direction) => median(figures.of(candidate, `cpu 100m ${direction}`))),
            })),
          ),
        },
      ],
      notes: failed.notes,
    };
  },
};

async function transfer(
  bench: Bench,
  candidate: Candidate,
  running: Running,
  size: '100m' | '1g',
  direction: 'down' | 'up',
): Promise<{ cpu: number; ms: number; peak: number }> {
  forgetPeak(running.pid);
  const before = cpuMs(running.pid);
  // Without Expect the body goes at once: waiting a second for 100 Continue is not what is measured.
  const upload = ['--header', 'Expect:', '--upload-file', join(bench.lab.dir, 'origin/files', size)];
  const { transferMs: ms } = await curl(bench.lab, candidate, running, {
    target: bench.lab.origin.port,
    path: direction === 'down' ? `/${size}` : '/sink',
    args: ['--http1.1', ...(direction === 'up' ? upload : [])],
  });
  const cpu = (cpuMs(running.pid) - before) / (size === '1g' ? 10 : 1);
  return { cpu, ms, peak: memory(running.pid).peakMb };
}
