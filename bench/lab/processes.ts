/** Processes under measurement: started on a core of their own, their CPU time and memory read from the operating system. */
import { type ChildProcess, execFileSync, spawn, type StdioOptions } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { hasProgram } from './programs.ts';

/** The proxy runs alone on the first core; what loads it, and the origin, on the second. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** USER_HZ of Linux on every architecture that Node runs on; `getconf CLK_TCK` is where it would differ. */
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const canPin = hasProgram('taskset') && availableParallelism() > 1;

export interface Spawned {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it wrote to stderr, and to stdout unless that went elsewhere. */
  output(): string;
  readonly ended: Promise<number | null>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface SpawnOptions {
  readonly core: number;
  readonly env?: NodeJS.ProcessEnv;
  /** A file descriptor for stdout. */
  readonly stdout?: number;
  readonly cwd?: string;
}

const running = new Set<ChildProcess>();
// Whatever ends the run, nothing that it started is left behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

export function start(command: string, args: readonly string[], options: SpawnOptions): Spawned {
  const pinned = canPin ? ['taskset', ['-c', String(options.core), command, ...args]] : [command, args];
  const stdio: StdioOptions = ['ignore', options.stdout ?? 'pipe', 'pipe'];
  const child = spawn(pinned[0] as string, pinned[1] as string[], {
    stdio,
    cwd: options.cwd,
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, ...options.env },
  });
  running.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-200_000);
    });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return {
    // taskset replaces itself by the command, so this is the command's own.
    pid: child.pid ?? -1,
    child,
    output: () => text,
    ended,
    async stop(signal = 'SIGKILL') {
      child.kill(signal);
      await ended;
    },
  };
}

/** The process and all below it. */
function tree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statFields(Number(entry));
    if (!fields) continue;
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found: number[] = [];
  const visit = (pid: number): void => {
    found.push(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  visit(root);
  return found;
}

/** Milliseconds of CPU, user and system, that the processes and their ended children took. */
export function cpuMs(root: number): number {
  let ms = 0;
  for (const pid of tree(root)) {
    const fields = statFields(pid);
    // proc(5): utime 14, stime 15, cutime 16, cstime 17; the list begins at field 3. Ticks are too coarse but for the ended.
    if (fields) ms += ((Number(fields[13]) + Number(fields[14])) * 1000) / TICKS_PER_SECOND + threadsMs(pid);
  }
  return ms;
}

/** By the scheduler's own clock, of the threads that there are. */
function threadsMs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    } catch {
      // ended in between
    }
  }
  return ns / 1e6;
}

export interface Memory {
  /** MB resident now. */
  readonly nowMb: number;
  /** MB resident at most since the start or since `forgetPeak`. */
  readonly peakMb: number;
}

export function memory(root: number): Memory {
  let now = 0;
  let peak = 0;
  for (const pid of tree(root)) {
    let status: string;
    try {
      status = readFileSync(`/proc/${pid}/status`, 'latin1');
    } catch {
      continue; // ended in between
    }
    now += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    peak += Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return { nowMb: now / 1024, peakMb: peak / 1024 };
}

export function forgetPeak(root: number): void {
  // proc_pid_clear_refs(5): 5 resets the peak resident set size.
  for (const pid of tree(root)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // ended, or another user's
    }
  }
}

/** Of /proc/PID/stat, from the state on: the name before it may hold spaces and brackets. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
