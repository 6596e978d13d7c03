/**
 * One writer of a file at a time, across processes: `FILE.lock` names its owner. The lock of a writer
 * that died is broken: at once when its process is gone, else when it is older than any write takes.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { CodedError, nativeCode } from '../errors.ts';
import { temporaryName } from './atomic-write.ts';
import { processExists } from '../process-exists.ts';
import { notWritable } from './system-fault.ts';

/** Long enough for a queue of writers with 10,000 entries each, short enough for a person to wait. */
const PATIENCE_MS = 30_000;
/** A write of 10,000 entries takes about 4 s. Only for owners that can't be asked: another machine, another container. */
const STALE_MS = 60_000;
const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 100;

interface Owner {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** When the process started, in ms: in a container every process may be number 1. */
  readonly started: number;
}

/** Computed once: after the clock is set it would differ, and this process's own locks would look stale. */
const STARTED = Math.round(Date.now() - process.uptime() * 1000);

function newOwner(): Owner {
  return { token: randomUUID(), pid: process.pid, host: hostname(), started: STARTED };
}

/**
 * @returns what releases it
 * @throws CodedError LOCKED after 30 s, NOT_WRITABLE
 */
export async function lockFile(file: string): Promise<() => Promise<void>> {
  const lock = `${file}.lock`;
  const owner = newOwner();
  const since = performance.now();
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)) {
    if (await create(lock, owner)) return () => release(lock, owner);
    if (await isStale(lock)) await breakLock(lock);
    else if (performance.now() - since > PATIENCE_MS) throw await locked(lock);
    else await wait(retryMs * (0.5 + Math.random()));
  }
}

async function create(lock: string, owner: Owner): Promise<boolean> {
  // Not by O_EXCL: a process that is killed between opening and writing would leave a lock without an owner.
  const temporary = temporaryName(lock.replace(/\.lock(\.break)?$/, ''));
  try {
    await writeFile(temporary, JSON.stringify(owner), { mode: 0o600, flag: 'wx' });
    await link(temporary, lock);
    return true;
  } catch (error) {
    const code = nativeCode(error) ?? 'unknown error';
    // ENOENT: the holder of the lock took it for a leftover.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw notWritable(error, lock, 'made');
  } finally {
    await rm(temporary, { force: true });
  }
}

async function release(lock: string, { token }: Owner): Promise<void> {
  // Another process may have taken us for dead.
  if ((await readOwner(lock))?.token === token) await rm(lock, { force: true });
}

async function isStale(lock: string): Promise<boolean> {
  const owner = await readOwner(lock);
  if (owner?.host === hostname()) return !isAlive(owner);
  try {
    return Date.now() - (await stat(lock)).mtimeMs > STALE_MS;
  } catch {
    return false; // released in the meantime
  }
}

/** Under a second lock, and checking again: of two processes that find it stale, neither breaks the other's new lock. */
async function breakLock(lock: string): Promise<void> {
  const breaker = `${lock}.break`;
  if (!(await create(breaker, newOwner()))) {
    if (await isStale(breaker)) await rm(breaker, { force: true });
    await wait(LONGEST_RETRY_MS * Math.random());
    return;
  }
  try {
    if (await isStale(lock)) await rm(lock, { force: true });
  } finally {
    await rm(breaker, { force: true });
  }
}

/** null where it is gone, or is being written. */
async function readOwner(lock: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(lock, 'utf8')) as Owner;
  } catch {
    return null;
  }
}

/** Clocks are set and starts are rounded: two starts of one process look up to this far apart. */
const SAME_START_MS = 5_000;

function isAlive({ pid, started }: Owner): boolean {
  if (pid === process.pid) return Math.abs(started - STARTED) < SAME_START_MS;
  return processExists(pid);
}

async function locked(lock: string): Promise<CodedError> {
  const owner = await readOwner(lock);
  const who = owner ? `process ${owner.pid} on ${owner.host}` : 'another process';
  return new CodedError(
    'LOCKED',
    `the store is being changed by ${who}`,
    `try again; if that process is gone: rm ${lock}`,
  );
}
