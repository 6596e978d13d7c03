import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startClient } from '../load/client.ts';
import { freePort } from '../lab/ports.ts';
import { cpuMs } from '../lab/processes.ts';
import { type Origin, startOrigin } from '../lab/origin.ts';
import type { LoopDelay } from '../programs/loop-delay.ts';
import type { PassReport } from '../programs/many-hosts.ts';
import { number, share } from '../statistics.ts';
import type { Bench, Case } from './case.ts';
import { failures, withOne } from './rounds.ts';

interface Row {
  readonly cpuNewMs: number;
  readonly cpuKnownMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly delay: LoopDelay | null;
}

export const hosts: Case = {
  id: 'd',
  title: 'A thousand hosts at once',
  async run(bench) {
    const count = bench.quick ? 50 : 1000;
    // Each loopback address is a host of its own, which needs no name resolution.
    const addresses = Array.from({ length: count }, (_, i) => `127.1.${Math.floor(i / 250)}.${(i % 250) + 1}`);
    const { origin, port } = await originOf(bench, addresses);
    const failed = failures(bench);
    const rows = new Map<string, Row>();
    const proxies = bench.candidates.filter(({ kind }) => kind === 'proxy');
    const delayFile = join(bench.lab.dir, 'loop-delay.json');
    process.env.BENCH_LOOP_DELAY = delayFile;
    for (const candidate of proxies) {
      const nodeArgs = ['--import', join(import.meta.dirname, '../programs/loop-delay.ts')];
      const row = await withOne(bench, candidate, { nodeArgs }, failed, async (running) => {
        rmSync(delayFile, { force: true });
        // An RSA key for each host takes http-mitm-proxy a minute for a thousand.
        const asked = addresses.slice(0, candidate.name === 'http-mitm-proxy' ? 200 : count);
        const options = { proxy: running.port, hosts: asked, port, passes: 2 };
        const toggle = (): void => {
          if (candidate.node) process.kill(running.pid, 'SIGUSR2');
        };
        toggle();
        const before = cpuMs(running.pid);
        const client = startClient<PassReport>('many-hosts', options);
        const first = await client.report();
        toggle();
        const between = cpuMs(running.pid);
        if (first.failures > 0) failed.note(candidate, `${first.failures} of ${asked.length} failed: ${first.error}`);
        await client.report();
        const after = cpuMs(running.pid);
        await client.program.ended;
        for (let i = 0; candidate.node && !existsSync(delayFile) && i < 50; i++) await sleep(100);
        return {
          cpuNewMs: (between - before) / asked.length,
          cpuKnownMs: (after - between) / asked.length,
          p50Ms: first.p50Ms,
          p99Ms: first.p99Ms,
          delay: existsSync(delayFile) ? (JSON.parse(readFileSync(delayFile, 'utf8')) as LoopDelay) : null,
        };
      });
      if (row) {
        bench.say(`  ${candidate.name}: ${number(row.cpuNewMs, 2)} ms of CPU a new host`);
        rows.set(candidate.name, row);
      }
    }
    await origin.close();
    const mintUs = mint();
    const squid = rows.get('Squid ssl-bump')?.cpuNewMs ?? NaN;
    return {
      how: `${addresses.length} hosts (loopback addresses, each with its certificate) requested at once, each on a new connection (200 for http-mitm-proxy, which makes a key for each); then a second time, with leaves and connections from the first. The event loop's delay is measured inside the Node programs, in the first pass.`,
      tables: [
        {
          head: [
            'candidate',
            'CPU per new host, ms',
            'of Squid',
            'again, ms',
            'p50, ms',
            'p99, ms',
            'loop delay p99, ms',
            'longest, ms',
          ],
          rows: proxies.map(({ name }) => {
            const row = rows.get(name);
            if (!row) return [name, ...Array.from({ length: 7 }, () => 'failed')];
            return [
              name,
              number(row.cpuNewMs, 2),
              share(row.cpuNewMs / squid),
              number(row.cpuKnownMs, 2),
              number(row.p50Ms),
              number(row.p99Ms),
              row.delay ? number(row.delay.p99Ms) : '–',
              row.delay ? number(row.delay.maxMs) : '–',
            ];
          }),
        },
      ],
      aims: [
        { what: 'CPU for a leaf and its TLS context', atMost: 0.5, unit: 'ms', measured: mintUs / 1000 },
        { what: 'event-loop delay p99', atMost: 20, unit: 'ms', measured: rows.get('mtlsd')?.delay?.p99Ms ?? NaN },
      ],
      notes: failed.notes,
    };
  },
};

async function originOf(bench: Bench, addresses: readonly string[]): Promise<{ origin: Origin; port: number }> {
  const dir = join(bench.lab.dir, 'hosts');
  mkdirSync(dir, { recursive: true });
  for (const address of addresses) {
    const leaf = await bench.lab.root.issue({ cn: address, sans: [address] });
    writeFileSync(join(dir, `${address}.crt`), leaf.chainPem);
    writeFileSync(join(dir, 'key'), leaf.keyPem); // shared by all of this PKI's leaves
  }
  const port = await freePort();
  const server = {
    cert: join(dir, `${addresses[0]}.crt`),
    chain: join(dir, `${addresses[0]}.crt`),
    key: join(dir, 'key'),
  };
  const listens = addresses.map((address) => `listen ${address}:${port} ssl backlog=64;`).join(' ');
  const origin = await startOrigin({
    dir: join(bench.lab.dir, 'hosts-origin'),
    server,
    clientCa: bench.lab.rootFile,
    servers: `server {
      ${listens}
      ssl_certificate ${dir}/$server_addr.crt; ssl_certificate_key ${dir}/key;
      ssl_client_certificate ${bench.lab.rootFile}; ssl_verify_client on;
      location / { return 200 "${'k'.repeat(1023)}\\n"; }
    }`,
  });
  return { origin, port };
}

function mint(): number {
  const program = join(import.meta.dirname, '../programs/mint.ts');
  return Number(execFileSync(process.execPath, [program], { encoding: 'utf8' }));
}
