/** A real daemon as a process, with a home of its own, its log read as it comes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { mistakeInLine } from './log-schema.ts';

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface DaemonOptions {
  /** certificates.yaml; left out: the default one that the daemon writes itself. */
  readonly store?: string;
  /** mtlsd.yaml */
  readonly settings?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly args?: readonly string[];
  readonly home?: string;
  /** Texts that no line of the log and nothing on stderr may hold. */
  readonly secrets?: readonly string[];
  /** Runs the daemon, which must keep the process: `['prlimit', '--nofile=64:64']`. */
  readonly under?: readonly string[];
  /** Which lines stay in `log`; all when left out. Long runs would fill the memory. */
  readonly keeps?: (line: LogLine) => boolean;
}

export interface RunningDaemon {
  readonly home: string;
  /** `http://127.0.0.1:PORT` */
  readonly proxy: string;
  readonly proxyPort: number;
  readonly admin: string;
  readonly token: string;
  readonly caFile: string;
  readonly log: readonly LogLine[];
  readonly process: ChildProcess;
  readonly stderr: () => string;
  /** The first line, past or to come, that fits. */
  event(name: string, fits?: (line: LogLine) => boolean): Promise<LogLine>;
  /** Writes certificates.yaml and waits until it is in force. */
  replaceStore(yaml: string): Promise<LogLine>;
  api(path: string, init?: RequestInit): Promise<Response>;
  /**
   * SIGTERM and the end of the process; the exit code.
   * @throws Error where a line of the log was not what docs/log-events.schema.json says, or held a secret
   */
  stop(): Promise<number | null>;
}

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'mtlsd-test-'));
}

export async function startDaemon(options: DaemonOptions = {}): Promise<RunningDaemon> {
  const home = options.home ?? temporaryDirectory();
  if (options.store !== undefined) writeFileSync(join(home, 'certificates.yaml'), options.store, { mode: 0o600 });
  if (options.settings !== undefined) writeFileSync(join(home, 'mtlsd.yaml'), options.settings);
  const args = [
    BIN,
    'start',
    '--home',
    home,
    '--listen',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
    ...(options.args ?? []),
  ];
  const [command = '', ...rest] = [...(options.under ?? []), process.execPath, ...args];
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const log: LogLine[] = [];
  const waiters = new Set<() => void>();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let exited: number | null | undefined;
  const exit = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      exited = code;
      resolve(code);
      for (const wake of waiters) wake();
    });
  });
  const violations: string[] = [];
  const secrets = [...(options.secrets ?? [])];
  const holdsSecret = (text: string): boolean => secrets.some((secret) => text.includes(secret));
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    const mistake = holdsSecret(text) ? 'it holds a secret' : mistakeInLine(line);
    if (mistake !== null) violations.push(`${mistake}\n${text}`);
    if (options.keeps?.(line) !== false) log.push(line);
    for (const wake of waiters) wake();
  });
  const waitFor = (name: string, fits: (line: LogLine) => boolean, from = 0): Promise<LogLine> =>
    new Promise((resolve, reject) => {
      let at = from;
      const look = (): void => {
        for (; at < log.length; at++) {
          const line = log[at] as LogLine;
          if (line.event !== name || !fits(line)) continue;
          waiters.delete(look);
          return resolve(line);
        }
        if (violations.length > 0) {
          waiters.delete(look);
          reject(new Error(`a line of the log is not as it should be: ${violations[0]}`));
        }
        if (exited !== undefined) {
          waiters.delete(look);
          reject(new Error(`the daemon exited with ${exited} before ${name}: ${stderr}`));
        }
      };
      waiters.add(look);
      look();
    });
  const ready = await waitFor('daemon.ready', () => true);
  const proxy = (ready.proxy as string[])[0] ?? '';
  const admin = ready.admin as string;
  const token = readFileSync(join(home, 'admin.token'), 'utf8').trim();
  secrets.push(token);
  return {
    home,
    proxy: `http://${proxy}`,
    proxyPort: Number(proxy.split(':').at(-1)),
    admin,
    token,
    caFile: join(home, 'ca/ca.pem'),
    log,
    process: child,
    stderr: () => stderr,
    event: (name, fits = () => true) => waitFor(name, fits),
    replaceStore(yaml) {
      const from = log.length;
      writeFileSync(join(home, 'certificates.yaml'), yaml);
      return waitFor('store.loaded', () => true, from);
    },
    api: (path, init = {}) =>
      fetch(`${admin}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } }),
    async stop() {
      child.kill('SIGTERM');
      const code = await exit;
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
      if (holdsSecret(stderr)) violations.push(`stderr holds a secret\n${stderr}`);
      if (violations.length > 0)
        throw new Error(`${violations.length} lines of the log are not as they should be; the first: ${violations[0]}`);
      return code;
    },
  };
}

/** The command as a user runs it; for commands that end by themselves. */
export async function runMtlsd(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input?: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}
