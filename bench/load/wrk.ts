/** wrk, through CONNECT by proxychains where there is a proxy: requests on kept-alive connections, as fast as answers come. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Candidate, Running } from '../candidates/candidate.ts';
import type { Lab } from '../lab/lab.ts';
import { LOAD_CORE, type Spawned, start } from '../lab/processes.ts';
import { untilBusy, type Window, window } from './window.ts';

export interface WrkResult extends Window {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Anything else than 200, and broken connections. */
  readonly failures: number;
}

export interface WrkOptions {
  readonly connections: number;
  readonly seconds: number;
}

/** Nothing here takes longer, unless it hangs. */
const LONGEST_S = 120;

export async function wrk(
  lab: Lab,
  candidate: Candidate,
  running: Running,
  { connections, seconds }: WrkOptions,
): Promise<WrkResult> {
  const load = startWrk(lab, candidate, running, { connections, seconds: LONGEST_S });
  // Under proxychains wrk opens its connections one by one, and sends nothing until they stand.
  await untilBusy(lab, load, connections);
  const counted = await window(lab, running, seconds);
  load.child.kill('SIGINT'); // it prints what it has
  const code = await load.ended;
  const text = load.output();
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${text.slice(-500)}`);
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    ...counted,
    p50Ms: milliseconds(/50%\s+(\S+)/.exec(text)?.[1]),
    p99Ms: milliseconds(/99%\s+(\S+)/.exec(text)?.[1]),
    failures:
      Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0) +
      socketErrors.reduce((sum, count) => sum + Number(count), 0),
  };
}

export function startWrk(
  lab: Lab,
  candidate: Candidate,
  running: Running,
  { connections, seconds }: WrkOptions,
): Spawned {
  // wrk shows no certificate: where it goes direct, it is to a port that wants none.
  const target = candidate.kind === 'direct' ? lab.origin.openPort : lab.origin.port;
  const args = [
    'wrk',
    ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s', '--latency'],
    `https://${running.at(target)}/1k`,
  ];
  if (running.port !== null) {
    const config = join(lab.dir, `proxychains-${running.port}.conf`);
    writeFileSync(config, `strict_chain\nquiet_mode\n[ProxyList]\nhttp 127.0.0.1 ${running.port}\n`);
    args.unshift('proxychains4', '-q', '-f', config);
  }
  return start(args[0] as string, args.slice(1), { core: LOAD_CORE });
}

function milliseconds(text = ''): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? [];
  return Number(number) * ({ us: 0.001, ms: 1, s: 1000, m: 60_000 }[unit ?? ''] ?? NaN);
}
