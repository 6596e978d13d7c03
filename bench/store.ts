/**
 * How long the store takes: to load, to look up, to put an edit of one entry in force, and for how long it holds up the event
 * loop at the most meanwhile. `node bench/store.ts` prints the table of bench/store.md. Each size runs in a fresh process, built
 * as the package is (reading TypeScript adds 0.15 s to the start of the parser's thread), with the young generation held as
 * `mtlsd start` holds it: a large one is collected in pauses of 30 to 50 ms.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openStore } from '../src/certs/store/store.ts';
import { tuneCollector } from '../src/cli/collector.ts';
import { parseAuthority } from '../src/core/authority.ts';
import { createPki } from '../test/support/pki.ts';

/** Certificates of five teams: what forty files hold is shared by all entries. */
const identities = 40;

export interface StoreRow {
  readonly entries: number;
  readonly loadMs: number;
  readonly loadBlockedMs: number;
  readonly lookupUs: number;
  readonly reloadMs: number;
  readonly blockedMs: number;
  readonly editMs: number;
  readonly editBlockedMs: number;
}

async function measure(entries: number): Promise<StoreRow> {
  const folder = mkdtempSync(path.join(tmpdir(), 'mtlsd-bench-'));
  const root = await (await createPki()).root();
  for (let i = 0; i < identities; i++) (await root.issue()).write(folder, `c${i}`);
  const file = path.join(folder, 'certificates.yaml');
  writeFileSync(file, storeText(entries), { mode: 0o600 });

  let swapped: (() => void) | null = null;
  const opening = watchLoop();
  const started = performance.now();
  const store = await openStore({ file, onLoaded: () => swapped?.() });
  const loadMs = performance.now() - started;
  const loadBlockedMs = opening();

  const authorities = Array.from({ length: 1000 }, (_, i) =>
    parseAuthority(`h${(i * 7919) % entries}.team${i % 5}.corp.example:443`),
  );
  const lookupUs = lookup(store.current.chooseCertificate.bind(store.current), authorities);

  // The store's own watches and timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  const reload = new Promise<void>((resolve) => (swapped = resolve));
  const reloading = watchLoop();
  const text = readFileSync(file, 'utf8').replace('host: h3.', 'host: changed.');
  const edited = performance.now();
  writeFileSync(file, text);
  await reload;
  const reloadMs = performance.now() - edited;
  const blockedMs = reloading();

  const editing = watchLoop();
  const before = performance.now();
  await store.edit({ do: 'edit-certificate', name: 'entry-5', set: { host: 'edited.example' } });
  const editMs = performance.now() - before;
  const editBlockedMs = editing();
  await store.close();
  clearInterval(alive);
  rmSync(folder, { recursive: true });
  return { entries, loadMs, loadBlockedMs, lookupUs, reloadMs, blockedMs, editMs, editBlockedMs };
}

function storeText(entries: number): string {
  const lines = ['version: 1', 'certificates:'];
  for (let i = 0; i < entries; i++) {
    const c = i % identities;
    lines.push(
      `  - name: entry-${i}`,
      `    host: h${i}.team${i % 5}.corp.example`,
      `    cert: c${c}-chain.crt`,
      `    key: c${c}.key`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** @returns what ends it and gives the longest delay in ms */
function watchLoop(): () => number {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  monitor.enable();
  return () => {
    monitor.disable();
    return monitor.max / 1e6;
  };
}

function lookup<T>(choose: (authority: T) => unknown, authorities: readonly T[]): number {
  const rounds = 500;
  let found = 0;
  const started = performance.now();
  for (let round = 0; round < rounds; round++) for (const authority of authorities) if (choose(authority)) found++;
  return ((performance.now() - started) * 1000) / found;
}

/** @returns the program to run, in a folder of its own */
async function buildProgram(): Promise<string> {
  const { build } = await import('rolldown');
  const dir = mkdtempSync(path.join(tmpdir(), 'mtlsd-bench-build-'));
  const src = (name: string) => path.join(import.meta.dirname, '../src', name);
  await build({
    input: {
      store: import.meta.filename,
      'parse-worker': src('certs/store/parse-worker.ts'),
      'decode-worker': src('certs/identity/decode-worker.ts'),
    },
    platform: 'node',
    external: ['rolldown'],
    logLevel: 'silent',
    output: { dir, format: 'esm' },
  });
  writeFileSync(path.join(dir, 'package.json'), '{ "type": "module" }');
  return path.join(dir, 'store.js');
}

const size = process.argv[2];
if (size !== undefined) {
  tuneCollector(); // as the daemon has it
  console.log(JSON.stringify(await measure(Number(size))));
} else {
  console.log(`Node ${process.version}, ${cpus().length} cores of ${cpus()[0]?.model.trim()}\n`);
  console.log(
    '| entries | load | longest block | look-up | reload after a hand edit | longest block | edit by program | longest block |',
  );
  console.log('|---:|---:|---:|---:|---:|---:|---:|---:|');
  const program = await buildProgram();
  for (const entries of [10, 1_000, 10_000]) {
    const row = JSON.parse(
      execFileSync(process.execPath, [program, String(entries)], {
        encoding: 'utf8',
      }),
    ) as StoreRow;
    const ms = (value: number) => `${value.toFixed(0)} ms`;
    console.log(
      `| ${entries} | ${ms(row.loadMs)} | ${ms(row.loadBlockedMs)} | ${row.lookupUs.toFixed(2)} µs | ${ms(row.reloadMs)} | ${ms(row.blockedMs)} | ${ms(row.editMs)} | ${ms(row.editBlockedMs)} |`,
    );
  }
  rmSync(path.dirname(program), { recursive: true });
}
