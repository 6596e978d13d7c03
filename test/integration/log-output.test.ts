import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, watch } from 'node:fs';
import { Agent, createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';
import { startUnread, type UnreadDaemon } from '../support/unread-daemon.ts';

/** A drain with nothing under way, and the second that a log may take at the end. */
const STOPPED_MS = 5_000;

let origin: Server;
beforeAll(async () => {
  origin = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
});
afterAll(() => origin.close());

/** Requests of a long path each, so that their lines fill what there is; all must be answered. */
async function request(daemon: Pick<UnreadDaemon, 'proxy'>, count: number, pathLength = 6000): Promise<void> {
  const { port: originPort } = origin.address() as AddressInfo;
  const { hostname, port } = new URL(daemon.proxy);
  const path = `http://127.0.0.1:${originPort}/${'x'.repeat(pathLength)}`;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const one = () =>
    new Promise<number>((resolve, reject) => {
      get({ hostname, port, path, agent }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      }).on('error', reject);
    });
  const statuses = await Promise.all(Array.from({ length: count }, one));
  agent.destroy();
  expect(new Set(statuses)).toEqual(new Set([200]));
}

async function linesOf(stream: Readable): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream })) lines.push(line);
  return lines;
}

interface Line {
  readonly event: string;
  readonly dropped?: number;
  readonly message?: string;
}

const exchangesIn = (lines: readonly string[]): number => lines.filter((line) => line.includes('exchange')).length;

describe('a log on a full disk', () => {
  test.each(['json', 'pretty'])('%s: requests are answered, and the daemon ends on SIGTERM', async (format) => {
    const full = openSync('/dev/full', 'w');
    const daemon = await startUnread(full, ['--log-format', format]);
    closeSync(full);
    await request(daemon, 200);
    const { code, ms } = await daemon.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(STOPPED_MS);
  });
});

describe('a log without a reader', () => {
  test.each(['json', 'pretty'])('%s: requests are answered, and the daemon ends on SIGTERM', async (format) => {
    const daemon = await startUnread('pipe', ['--log-format', format]);
    await request(daemon, 1500);
    const { code, ms } = await daemon.stop();
    expect(code).toBe(0);
    expect(ms).toBeLessThan(STOPPED_MS);
    daemon.process.stdout?.destroy();
  });

  test('is bounded; when it is read again, it says how many lines are missing, and none is torn', async () => {
    const daemon = await startUnread('pipe');
    const count = 1500;
    await request(daemon, count);
    const reading = linesOf(daemon.process.stdout as Readable);
    await once(daemon, reading);
    const lines = await reading;
    const read = lines.map((line) => JSON.parse(line) as Line);
    const dropped = read.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    expect(dropped).toBeGreaterThan(0);
    expect(exchangesIn(lines) + dropped).toBe(count);
    // 4 MiB of the daemon's, and what the kernel holds.
    expect(lines.join('\n').length).toBeLessThan(5.5 * 1024 * 1024);
    expect(read.find((line) => line.dropped !== undefined)).toMatchObject({
      event: 'daemon.warning',
      level: 'warn',
      message: `${dropped} log lines were dropped: the reader is too slow`,
    });
    expect(read.at(-1)?.event).toBe('daemon.stopped');
  });

  /** Stops it after the line about the missing lines. */
  async function once(daemon: UnreadDaemon, reading: Promise<unknown>): Promise<void> {
    const reported = new Promise<void>((resolve) => {
      daemon.process.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.includes('log lines were dropped')) resolve();
      });
    });
    await reported;
    expect((await daemon.stop()).code).toBe(0);
    await reading;
  }
});

describe('a reader that is gone', () => {
  test('ends nothing; the next reader gets the number of missing lines', async () => {
    const fifo = join(temporaryDirectory(), 'log');
    execFileSync('mkfifo', [fifo]);
    const first = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const writing = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    const daemon = await startUnread(writing);
    closeSync(writing);
    closeSync(first);
    await request(daemon, 20, 10);
    // Not from this process, which a read of a FIFO would hold.
    const second = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    const warning = await new Promise<Line>((resolve) => {
      createInterface({ input: second.stdout }).on('line', (text) => {
        const line = JSON.parse(text) as Line;
        if (line.event === 'daemon.warning') resolve(line);
      });
    });
    // And perhaps the lines of the start.
    expect(warning.dropped).toBeGreaterThanOrEqual(20);
    expect(warning.message).toBe(`${warning.dropped} log lines were dropped: EPIPE`);
    expect((await daemon.stop()).code).toBe(0);
  });
});

describe('a terminal', () => {
  /** script (util-linux) gives it a terminal, and passes on what is typed. */
  async function startOnTerminal() {
    const home = temporaryDirectory();
    const bin = new URL('../../bin/mtlsd.js', import.meta.url).pathname;
    const command = `exec ${process.execPath} ${bin} start --home ${home} --listen 127.0.0.1:0 --admin 127.0.0.1:0`;
    const terminal = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    let shown = '';
    await new Promise<void>((resolve) =>
      terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
        shown += text;
        if (/daemon\.ready [^\n]*\n/.test(shown) && /page: [^\n]*\n/.test(shown)) resolve();
      }),
    );
    const runFile = join(home, 'run.json');
    const run = JSON.parse(readFileSync(runFile, 'utf8')) as { pid: number; proxy: string[] };
    return { terminal, shown: () => shown, run, runFile };
  }

  test('shows lines for people by default; Ctrl-S stops the lines and nothing else', async () => {
    const { terminal, shown, run } = await startOnTerminal();
    expect(shown()).toMatch(/^\d\d:\d\d:\d\d {2}daemon\.ready {10}proxy 127\.0\.0\.1:\d+, /m);
    terminal.stdin.write('\x13');
    await request({ proxy: `http://${run.proxy[0]}` }, 200);
    expect(shown()).not.toContain('xxxx');
    const exit = new Promise<number | null>((resolve) => terminal.on('close', resolve));
    process.kill(run.pid, 'SIGTERM');
    expect(await exit).toBe(0);
  });

  test('shows the address of the page', async () => {
    const { terminal, shown } = await startOnTerminal();
    const [, page = ''] =
      /^page: (http:\/\/127\.0\.0\.1:\d+\/) \(mtlsd ui opens it, signed in\)\r?$/m.exec(shown()) ?? [];
    expect((await fetch(page)).headers.get('content-type')).toMatch(/^text\/(html|plain)/);
    const exit = new Promise((resolve) => terminal.on('close', resolve));
    terminal.stdin.write('\x03');
    await exit;
  });

  test('that is closed ends the daemon', async () => {
    const { terminal, runFile } = await startOnTerminal();
    const removed = new Promise<void>((resolve) => {
      const watcher = watch(dirname(runFile), () => {
        if (existsSync(runFile)) return;
        watcher.close();
        resolve();
      });
    });
    terminal.kill('SIGKILL');
    await removed;
    expect(existsSync(runFile)).toBe(false);
  });
});
