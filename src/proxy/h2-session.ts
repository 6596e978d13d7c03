/** What both sides of HTTP/2 (RFC 9113) share: fields as node:http2 takes them, and how a dead peer is noticed. */
import { constants, type Http2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';

/** One connection's only; HTTP/2 has none (RFC 9113 §8.2.2), and node:http2 throws on them. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'host', // :authority says it (§8.3.1)
]);

/** Node throws on a second value of fields that real servers repeat; the field is missing in @types/node. */
export const LENIENT = { strictSingleValueFields: false } as object;

/** Field names and values of HTTP/1.1 in latin1; more would need CONTINUATION frames that nghttp2 does not take. */
export const MOST_FIELD_PAIRS = 2_000;

/** Fields take 32 bytes more in HTTP/2's own count (RFC 9113 §6.5.2); what is above the limit is answered, not reset. */
export const listSize = (headerBytes: number): number => Math.min(2 * headerBytes, 0xffff_ffff);

/** Flat and lower case, pseudo-fields first: what `request` and `respond` take; order and duplicates stay. */
export function flatHeaders(pseudo: readonly string[], fields: readonly string[]): string[] {
  const all = [...pseudo];
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase();
    if (!CONNECTION_SPECIFIC.has(name)) all.push(name, fields[i + 1] as string);
  }
  return all;
}

/** What `additionalHeaders` and `sendTrailers` take: an object without a prototype, repeated names as lists. */
export function headersObject(fields: readonly string[]): OutgoingHttpHeaders {
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase();
    // TE is only ever `trailers`, and never in trailers (§8.2.2).
    if (CONNECTION_SPECIFIC.has(name) || name === 'te') continue;
    const value = fields[i + 1] as string;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

/** The flat list that 'stream', 'headers', 'response' and 'trailers' give beyond what @types/node knows. */
export const rawHeaders = (args: readonly unknown[]): readonly string[] => args.find(isFlatList) ?? [];
const isFlatList = (value: unknown): value is string[] => Array.isArray(value);

/**
 * As the events give them, pseudo-fields in front (RFC 9113 §8.3). A Cookie that was split into several fields is one again,
 * since HTTP/1.1 allows one only and either version takes it so (§8.2.3).
 */
export function withoutPseudo(raw: readonly string[]): string[] {
  const fields: string[] = [];
  let cookie = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(':')) continue;
    if (name === 'cookie' && cookie !== -1) {
      fields[cookie] += `; ${value}`;
      continue;
    }
    if (name === 'cookie') cookie = fields.length + 1;
    fields.push(name, value);
  }
  return fields;
}

export const pseudo = (headers: IncomingHttpHeaders, name: `:${string}`): string | undefined => {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
};

/**
 * Ends a session with the streams on it. Without a code Node (24.21) ends each as if it were whole, so that a cut off body would
 * pass; and it takes the code only beside an error, or null for none.
 */
export const breakOff = (session: Http2Session): void =>
  session.destroy(null as unknown as undefined, constants.NGHTTP2_CANCEL);

/** A peer that says nothing for so long is asked whether it is there (RFC 9113 §6.7) … */
const SILENCE_MS = 30_000;
/** … and has this long to answer. */
const PING_MS = 10_000;
/**
 * … but not again before that if it sent nothing else since: servers of gRPC end a connection with ENHANCE_YOUR_CALM
 * (too_many_pings) after three PINGs in less than five minutes each without an answer to a request between them.
 */
const SPACING_MS = 305_000;

/** Longer than a last frame and a FIN take. */
const ENDING_MS = 2_000;

/**
 * node:http2 stops reading while a write is under way. When the peer resets the connection just then, the write never ends
 * (Node 24.21: it stays in the queue of TLS), nothing is read, and so nobody sees the reset: all streams would wait, and a session without any would stay in its pool.
 */
function readOn(socket: Socket): void {
  const { _handle: handle } = socket as { _handle?: { readStart?: () => number } | null };
  handle?.readStart?.();
}

/**
 * Closes a session that is idle for `idleMs`, destroys one whose peer is dead while streams wait for it, and destroys the
 * socket of a session that does not end.
 */
export function watchSession(session: Http2Session, socket: Socket, idleMs: number, streams: () => number): void {
  // A destroyed session emits 'close' when its last write is through and the peer has ended its side (Node 24,
  // http2/core.js, finishSessionClose): a peer that does neither would hold it for ever.
  let ending = false;
  let busyFor = 0;
  let asked = { at: Number.NEGATIVE_INFINITY, bytesRead: -1 };
  const ask = (): void => {
    const now = performance.now();
    if (socket.bytesRead === asked.bytesRead && now < asked.at + SPACING_MS) return;
    asked = { at: now, bytesRead: -1 };
    const timer = setTimeout(breakOff, PING_MS, session);
    try {
      session.ping(() => {
        clearTimeout(timer);
        asked = { at: now, bytesRead: socket.bytesRead };
      });
    } catch {
      clearTimeout(timer);
      breakOff(session);
    }
  };
  let bytesRead = -1;
  const reaper = setInterval(() => {
    if (ending) socket.destroy();
    ending = session.destroyed;
    if (socket.bytesRead === bytesRead) readOn(socket);
    bytesRead = socket.bytesRead;
    // New requests count as activity of the session: 'timeout' does not come while they do.
    busyFor = streams() === 0 ? 0 : busyFor + ENDING_MS;
    if (busyFor < SILENCE_MS || session.destroyed || session.connecting) return;
    busyFor = 0;
    ask();
  }, ENDING_MS).unref();
  socket.once('close', () => clearInterval(reaper));
  let idleFor = 0;
  const stepMs = Math.min(SILENCE_MS, idleMs);
  session.setTimeout(stepMs);
  session.on('timeout', () => {
    if (session.destroyed || session.connecting) return;
    session.setTimeout(stepMs); // each fires once, and so does a callback given to it
    if (streams() === 0) {
      idleFor += stepMs;
      // A header block that never ends keeps a closed session open.
      if (session.closed) breakOff(session);
      else if (idleFor >= idleMs) session.close();
      return;
    }
    idleFor = 0;
    ask();
  });
}
