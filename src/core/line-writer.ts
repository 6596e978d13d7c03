/**
 * Lines to a file descriptor whose other end may be full, stuck or gone. A line never makes its writer wait. Lines beyond
 * `MOST_HELD` are dropped and counted, and a separate line reports them when writing works again.
 */
import { closeSync, constants, openSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';

export interface LineWriter {
  /** @param line with its line feed */
  write(line: string): void;
  /** Resolves when all lines are written, and where they can't be, at once or after a second. */
  flush(): Promise<void>;
}

export interface LineWriterOptions {
  readonly fd: number;
  /** The line that reports how many are missing, and why: `ENOSPC`, or `the reader is too slow`. */
  readonly lostLine: (count: number, why: string) => string;
  /** Once when writing fails, again after it has worked in between. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void;
}

/** In characters, a queue and a batch under way together: a third of a second of the heaviest load, and 12 MB at worst. */
const MOST_HELD = 4 * 1024 * 1024;
/** While a pipe or a terminal takes nothing: soon at first, since most readers are only a moment late. */
const RETRY_MS = { first: 1, longest: 50 };
/** After an error such as a full disk. */
const RECOVERY_MS = 1_000;
/** A supervisor waits for the end of the process. */
const FLUSH_MS = 1_000;
const LINE_FEED = 0x0a;

/** `gathering`: lines of this turn of the event loop. `stuck`: EAGAIN. `failed`: any other error. */
type State = 'idle' | 'gathering' | 'writing' | 'stuck' | 'failed';

interface Batch {
  readonly bytes: Buffer;
  /** So many bytes of it are written. */
  offset: number;
  /** The number of lost lines that it reports; 0 for a batch of ordinary lines. */
  readonly reports: number;
}

export function lineWriter({ fd: given, lostLine, onFailure }: LineWriterOptions): LineWriter {
  const fd = neverBlocking(given);
  let state: State = 'idle';
  let queue = '';
  let batch: Batch | null = null;
  let lost = 0;
  let why = '';
  let reported = false;
  let retryMs = RETRY_MS.first;
  /** The last byte written was within a line, and the rest of the line is lost. */
  let torn = false;
  let idle = Promise.withResolvers<void>();

  function add(line: string): void {
    const held = queue.length + (batch?.bytes.length ?? 0);
    const behind = lost > (batch?.reports ?? 0);
    // After one lost line all are lost until the rest is written: one gap, reported at its place.
    if (state === 'failed' || behind || held + line.length > MOST_HELD) {
      if (lost === 0) why = 'the reader is too slow';
      lost++;
      return;
    }
    queue += line;
    if (state !== 'idle') return;
    state = 'gathering';
    // All lines of one turn of the event loop in one system call, which costs more than the lines themselves.
    setImmediate(next);
  }

  function next(): void {
    if (queue !== '') {
      batch = { bytes: bytesOf(queue), offset: 0, reports: 0 };
      queue = '';
    } else if (lost > 0) {
      batch = { bytes: bytesOf(`${torn ? '\n' : ''}${lostLine(lost, why)}`), offset: 0, reports: lost };
    } else {
      batch = null;
      state = 'idle';
      idle.resolve();
      idle = Promise.withResolvers();
      return;
    }
    send(batch);
  }

  function send(current: Batch): void {
    state = 'writing';
    write(fd, current.bytes, current.offset, null, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        state = 'stuck';
        setTimeout(() => send(current), retryMs).unref();
        retryMs = Math.min(retryMs * 2, RETRY_MS.longest);
      } else if (error) {
        if (!reported) onFailure(error);
        reported = true;
        fail(current, error.code ?? error.message);
      } else {
        retryMs = RETRY_MS.first;
        reported = false;
        if (written > 0) torn = current.bytes[current.offset + written - 1] !== LINE_FEED;
        current.offset += written;
        if (current.offset < current.bytes.length) return send(current);
        lost -= current.reports;
        next();
      }
    });
  }

  function fail({ bytes, offset, reports }: Batch, reason: string): void {
    if (reports === 0) lost += lineCount(bytes.subarray(offset));
    lost += lineCount(Buffer.from(queue));
    queue = '';
    batch = null;
    why = reason;
    state = 'failed';
    setTimeout(next, RECOVERY_MS).unref();
    idle.resolve();
    idle = Promise.withResolvers();
  }

  /** Writes the rest when the process exits, as far as the reader takes it at once; nothing after an error. */
  function writeRest(): void {
    if (state === 'failed') return;
    try {
      for (const bytes of [batch && state === 'stuck' ? batch.bytes.subarray(batch.offset) : null, bytesOf(queue)])
        for (let rest = bytes; rest && rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
    } catch {
      // Full, stuck or gone: the error can't be reported.
    }
  }
  process.once('exit', writeRest);

  return {
    write: add,
    async flush() {
      if (state === 'idle' || state === 'failed') return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, FLUSH_MS);
      await Promise.race([idle.promise, promise]);
      clearTimeout(timer);
    },
  };
}

/**
 * A write that blocks holds a thread of libuv's, and the end of the process waits for those (Node 24.21). Node itself makes
 * a pipe or a socket non-blocking when it makes `process.stdout` of it; a terminal, which Ctrl-S stops, it leaves blocking,
 * so that one is opened again.
 */
function neverBlocking(fd: number): number {
  if (fd === 1) void process.stdout;
  if (!isatty(fd)) return fd;
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    process.once('exit', () => closeSync(own));
    return own;
  } catch {
    return fd; // not Linux, or a terminal of another user
  }
}

/**
 * JSON.stringify leaves DEL, C1 controls (which some terminals obey) and the line separators of Unicode as they are. They
 * occur only in strings there, where an escape means the same.
 */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length === text.length && !bytes.includes(0x7f)) return bytes;
  return Buffer.from(escapeControls(text));
}

export function escapeControls(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\x7f-\x9f\u2028\u2029]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function lineCount(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
