/**
 * Measures mtlsd beside its peers, and writes bench/README.md. `npm run bench -- [CASE…] [--quick] [--only NAME,…] [--against DIST]`
 */
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { allCandidates } from './candidates/all.ts';
import { stagePackage } from './candidates/mtlsd.ts';
import type { Bench, Case } from './cases/case.ts';
import { endurance } from './cases/endurance.ts';
import { hosts } from './cases/hosts.ts';
import { http2 } from './cases/http2.ts';
import { idle } from './cases/idle.ts';
import { oneShot } from './cases/one-shot.ts';
import { requests } from './cases/requests.ts';
import { startUp } from './cases/start.ts';
import { store } from './cases/store.ts';
import { transfers } from './cases/transfers.ts';
import { openLab } from './lab/lab.ts';
import { hasProgram, openFilesLimit } from './lab/programs.ts';
import { machine } from './report/machine.ts';
import { render, replaceBetween, writePlots } from './report/readme.ts';

const CASES: readonly Case[] = [requests, oneShot, transfers, hosts, store, startUp, http2, idle, endurance];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    against: { type: 'string' },
  },
});
const chosen = positionals.length > 0 ? CASES.filter(({ id }) => positionals.includes(id)) : CASES;
if (chosen.length === 0) fail(`no such case; there are ${CASES.map(({ id }) => id).join(', ')}`);
for (const program of ['nginx', 'wrk', 'proxychains4', 'curl', 'openssl'])
  if (!hasProgram(program)) fail(`${program} is not installed: bench/setup installs what is needed`);
if (openFilesLimit() < 16_000) fail('5,000 connections need more open files: ulimit -n 20000');

const lab = await openLab();
const stages = new Map([['mtlsd', join(lab.dir, 'stage')]]);
await stagePackage(join(lab.dir, 'stage'), null);
if (flags.against !== undefined) {
  stages.set('mtlsd (other build)', join(lab.dir, 'other'));
  await stagePackage(join(lab.dir, 'other'), flags.against);
}
const only = flags.only?.split(',');
const candidates = allCandidates(stages).filter(({ name }) => !only || only.includes(name));
const leftOut: string[] = [];
const bench: Bench = {
  lab,
  quick: flags.quick,
  candidates: candidates.filter((candidate) => {
    const missing = candidate.missing();
    if (missing !== null) leftOut.push(`${candidate.name}, for want of ${missing}`);
    return missing === null;
  }),
  say: (text) => console.error(text),
};
for (const line of leftOut) console.log(`left out: ${line}`);
// A part of the candidates, or a smoke run, is nothing to publish.
const publish = !flags.quick && !only && flags.against === undefined;

try {
  for (const one of chosen) {
    const load = loadavg()[0] ?? 0;
    bench.say(`${one.id}. ${one.title}`);
    const begun = performance.now();
    const section = await one.run(bench);
    const date = new Date().toISOString().slice(0, 10);
    const seconds = Math.round((performance.now() - begun) / 1000);
    const stamp = `Measured ${date} in ${seconds} s; the machine's load average before was ${load.toFixed(1)}.`;
    const text = render(one, section, stamp);
    console.log(`\n${text}`);
    if (!publish) continue;
    writePlots(section);
    replaceBetween(`case ${one.id}`, text);
  }
  if (publish) replaceBetween('machine', [machine(), ...leftOut.map((line) => `- left out: ${line}`)].join('\n'));
} finally {
  await lab.close();
}
process.exit(0);

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
