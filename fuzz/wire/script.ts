/**
 * How bytes are sent on a connection: the first byte of an input says in how many parts, and how the sender ends. So the
 * input alone says everything.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Random } from '../random.ts';

export interface Script {
  readonly parts: number;
  /** `keep`: the connection is left open; `fin` and `reset`: after the peer fell silent; the others: with the last byte. */
  readonly end: End;
  /** For origins: the bytes are sent before anything was asked. */
  readonly early: boolean;
  readonly bytes: Buffer;
}

const ENDS = ['keep', 'keep', 'keep', 'fin', 'fin at once', 'reset', 'reset at once', 'destroy at once'] as const;
type End = (typeof ENDS)[number];

export function scripted(random: Random, bytes: Buffer): Buffer {
  const parts = random.oneIn(3) ? random.below(8) : 0;
  const early = random.oneIn(16) ? 64 : 0;
  return Buffer.concat([Buffer.of(parts | (random.below(8) << 3) | early), bytes]);
}

export function readScript(input: Buffer): Script {
  const control = input[0] ?? 0;
  const end = ENDS[(control >> 3) & 7] ?? 'keep';
  return { parts: 1 + (control & 7), end, early: (control & 64) !== 0, bytes: input.subarray(1) };
}

/** Each part in a turn of its own, so that TCP sends it alone, mostly. */
export async function writeInParts(socket: Duplex, { bytes, parts }: Pick<Script, 'bytes' | 'parts'>): Promise<void> {
  const size = Math.max(1, Math.ceil(bytes.length / parts));
  for (let at = 0; at < bytes.length && !socket.destroyed; at += size) {
    socket.write(bytes.subarray(at, at + size));
    if (parts > 1) await new Promise(setImmediate);
  }
}

/** What the peer has to say comes within this, or does not come; no verdict depends on it. */
const QUIET_MS = 12;

/** Resolves when the peer closed, or said nothing for a while. */
export function quiet(socket: Duplex, ms = QUIET_MS): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      socket.off('data', refresh).off('close', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    const refresh = (): void => void timer.refresh();
    socket.on('data', refresh).on('close', done);
  });
}

/**
 * Ends with a reset, in a turn of its own: below a TLS socket that is reading, a reset ends the process with SIGSEGV (Node 24.21).
 * While the end of the connection is being written libuv refuses it, and Node then neither closes the socket nor lets the process
 * exit. The daemon itself calls resetAndDestroy nowhere.
 * @param raw of a TLS socket, the TCP socket below it: it alone can be reset
 */
export async function reset(socket: Duplex, raw: Socket): Promise<void> {
  await new Promise(setImmediate);
  if (socket.writableEnded || raw.writableEnded) socket.destroy();
  else raw.resetAndDestroy();
}

export async function endAs(end: End, socket: Duplex, raw: Socket): Promise<void> {
  switch (end) {
    case 'reset at once':
      return reset(socket, raw);
    case 'destroy at once':
      return void socket.destroy();
    case 'fin at once':
      socket.end();
      return quiet(socket);
    case 'keep':
      return quiet(socket);
    case 'fin':
      await quiet(socket);
      return void socket.end();
    case 'reset':
      await quiet(socket);
      return reset(socket, raw);
  }
}
