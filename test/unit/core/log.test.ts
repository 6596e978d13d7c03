import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logLine } from '../../../src/cli/words/log-line.ts';
import { createLog, LOG_EVENTS, type LogOptions } from '../../../src/core/log.ts';
import { Secret } from '../../../src/core/secret.ts';
import { exchangeRecord } from '../../support/records.ts';

let dir: string;
let fd: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mtlsd-log-'));
  fd = openSync(join(dir, 'log'), 'a');
});
afterEach(() => {
  closeSync(fd);
  rmSync(dir, { recursive: true });
});

const read = (): string => readFileSync(join(dir, 'log'), 'utf8');
const log = (options: Partial<LogOptions> = {}) =>
  createLog({ level: 'info', format: 'json', destination: fd, ...options });

/** C0, DEL, C1 and the two separators: what moves a cursor, rings a bell or begins a line somewhere. */
const CONTROLS = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i), 0x2028, 0x2029].map(
  (code) => String.fromCharCode(code),
);

describe('a line', () => {
  test('has level, time and event, and the levels below are left out', async () => {
    const write = log({ level: 'warn' });
    write('info', 'daemon.stopped', { reason: 'no' });
    write('error', 'daemon.warning', { message: 'yes' });
    write.json('info', '{"event":"exchange"}');
    await write.flush();
    expect(read()).toMatch(
      /^\{"level":"error","time":"\d{4}-\d\d-\d\dT[\d:.]+Z","event":"daemon.warning","message":"yes"\}\n$/,
    );
  });

  test('holds no secret', async () => {
    const write = log();
    write('info', 'daemon.warning', { message: new Secret('hidden') });
    await write.flush();
    expect(JSON.parse(read())).toMatchObject({ message: '[secret]' });
  });

  test('in JSON holds no control character but its end, and reads as it was given', async () => {
    const write = log();
    const message = `a${CONTROLS.join('b')}ü`;
    write('info', 'daemon.warning', { message });
    write.json('info', JSON.stringify({ event: 'daemon.warning', message }));
    await write.flush();
    const lines = read().split('\n');
    expect(lines).toHaveLength(3);
    for (const line of lines.slice(0, 2)) {
      for (const control of CONTROLS) expect(line).not.toContain(control);
      expect(JSON.parse(line)).toMatchObject({ message });
    }
  });

  test('for people holds none either', async () => {
    const write = log({ format: logLine });
    const hostile = `a${CONTROLS.join('b')}\x1b[2J`;
    write('info', 'exchange', exchangeRecord({ path: `/${hostile}`, authority: hostile, certificate: hostile }));
    write('warn', 'proxy.refused', { client: '', target: hostile, code: hostile, message: hostile, hint: hostile });
    await write.flush();
    const text = read();
    for (const control of CONTROLS) if (control !== '\n') expect(text).not.toContain(control);
    expect(text.split('\n')).toHaveLength(4);
    expect(text).toContain('\\u009b');
  });

  test('of a burst comes whole and in order', async () => {
    const write = log();
    for (let i = 0; i < 3000; i++) write('info', 'daemon.warning', { message: `${i} ${'x'.repeat(1000)}` });
    await write.flush();
    const numbers = read()
      .trimEnd()
      .split('\n')
      .map((line) => Number.parseInt((JSON.parse(line) as { message: string }).message, 10));
    expect(numbers).toEqual(Array.from({ length: 3000 }, (_, i) => i));
  });

  test('too many at once are dropped, and reported after those that were kept', async () => {
    const write = log();
    for (let i = 0; i < 5000; i++) write('info', 'daemon.warning', { message: `${i} ${'x'.repeat(1000)}` });
    await write.flush();
    const lines = read()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { message: string; dropped?: number });
    const last = lines.pop();
    expect(last?.dropped).toBe(5000 - lines.length);
    expect(lines.length).toBeGreaterThan(3500);
    expect(lines.length).toBeLessThan(4200);
  });
});

describe('a line for people', () => {
  const time = new Date(2026, 7, 1, 9, 5, 7).toISOString();
  const line = (event: string, level: string, data: object): string =>
    logLine({ ...data, time, event, level } as never);

  test('of an exchange: time, event, authority, request, outcome', () => {
    expect(line('exchange', 'info', exchangeRecord({ path: '/v1', certificate: 'partner' }))).toBe(
      '09:05:07  exchange              api.example:443  GET /v1  200, 12 ms, partner, verified\n',
    );
  });

  test('of a failure: the code, what happened, and the next step on a separate line', () => {
    const error = { code: 'DNS_FAILED', message: 'no such name', hint: 'check the name', alert: null } as const;
    expect(line('exchange', 'info', exchangeRecord({ status: null, error }))).toBe(
      '09:05:07  exchange              api.example:443  GET /  DNS_FAILED: no such name\n          next: check the name\n',
    );
  });

  test('of a fault: its stack, line under line', () => {
    expect(
      line('daemon.fault', 'error', { scope: 'probe', id: null, message: 'boom', stack: 'Error: boom\n  at x' }),
    ).toBe(
      '09:05:07  daemon.fault          probe  boom\n          Error: boom\n            at x\n          next: this is a fault of mtlsd; please report it with these lines\n',
    );
  });

  test('of a rejected store: each mistake with its place', () => {
    const problems = [{ file: 'c.yaml', line: 3, column: 5, message: 'unknown key hots', expected: 'host' }];
    expect(line('store.rejected', 'error', { problems })).toBe(
      '09:05:07  store.rejected        1 mistake; the last good store stays in force\n          c.yaml:3:5: unknown key hots; expected host\n',
    );
  });

  test('names every event', () => {
    // It is rare, and is to be noticed.
    const others = LOG_EVENTS.filter((event) => event !== 'certificate.renewal_failed');
    for (const event of others) expect(event.length).toBeLessThanOrEqual(20);
  });
});
