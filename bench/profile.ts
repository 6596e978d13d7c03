/**
 * Where a request's time goes: src/ under wrk's load, profiled when it is warm, the samples shared out by what they were in.
 * `node bench/profile.ts [CONNECTIONS]` prints the table of docs/performance.md and leaves bench/bench.cpuprofile, which Chromium's
 * developer tools open.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mtlsd } from './candidates/mtlsd.ts';
import { openLab } from './lab/lab.ts';
import { wrk } from './load/wrk.ts';
import { markdown } from './report/table.ts';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const REPOSITORY = join(import.meta.dirname, '..');
const file = join(import.meta.dirname, 'bench.cpuprofile');
const connections = Number(process.argv[2] ?? 32);

const lab = await openLab();
process.env.BENCH_PROFILE = file;
const candidate = mtlsd('mtlsd', REPOSITORY);
const running = await candidate.start(lab, {
  nodeArgs: ['--import', join(import.meta.dirname, 'programs/profiler.ts')],
});
const load = wrk(lab, candidate, running, { connections, seconds: 13 });
await sleep(6_000);
process.kill(running.pid, 'SIGUSR2');
await sleep(6_000);
process.kill(running.pid, 'SIGUSR2');
const result = await load;
for (let i = 0; i < 100 && !existsSync(file); i++) await sleep(100);
await running.stop();
await lab.close();

const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
const byId = new Map(profile.nodes.map((node) => [node.id, node]));
const groups = new Map<string, number>();
const functions = new Map<string, number>();
let whole = 0;
profile.samples.forEach((id, at) => {
  const frame = byId.get(id)?.callFrame;
  const us = profile.timeDeltas[at] ?? 0;
  if (!frame || frame.functionName === '(idle)') return;
  whole += us;
  const place = placeOf(frame.url, frame.functionName);
  groups.set(place, (groups.get(place) ?? 0) + us);
  const name = `${frame.functionName || '(anonymous)'} ${shortened(frame.url)}${frame.url ? `:${frame.lineNumber + 1}` : ''}`;
  functions.set(name, (functions.get(name) ?? 0) + us);
});

console.log(
  `${connections} connections, ${result.cpuUs.toFixed(0)} µs of CPU a request (${result.requests} requests)\n`,
);
print('where', groups, 40);
console.log();
print('function', functions, 45);
process.exit(0);

function print(what: string, shares: ReadonlyMap<string, number>, rows: number): void {
  const sorted = [...shares].sort(([, a], [, b]) => b - a).slice(0, rows);
  console.log(
    markdown(
      [what, 'share'],
      sorted.map(([name, us]) => [name, `${((100 * us) / whole).toFixed(1)} %`]),
    ),
  );
}

/** Native functions have no address; Node's own are `node:`, libraries are in node_modules. */
function placeOf(url: string, name: string): string {
  if (url === '') return name.startsWith('(') ? name : 'native functions';
  if (url.startsWith('node:')) return url;
  const [, library] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (library) return library;
  return shortened(url);
}

function shortened(url: string): string {
  return url
    .replace(/^file:\/\//, '')
    .replace(`${REPOSITORY}/`, '')
    .replace(/^.*node_modules\//, '');
}
