/** Feeds bytes to a reader in pieces, and puts what comes out together again. */
import { expect } from 'vitest';
import { Http1Error, type Http1ErrorCode } from '../../../src/http1/errors.ts';
import {
  type Event,
  type RequestHead,
  RequestReader,
  type ResponseHead,
  ResponseReader,
} from '../../../src/http1/reader.ts';

export const LIMITS = { headBytes: 2048 };

export interface Message<H> {
  head: H;
  /** Absent in a 1xx, which ends with its head. */
  body: string;
  /** Null: the end did not come. */
  trailers: string[] | null;
}

export interface Outcome<H> {
  messages: Message<H>[];
  error: { code: Http1ErrorCode; message: string } | null;
  /** How many bytes had been fed when the error was thrown. */
  refusedAt: number;
  idle: boolean;
  rest: string;
}

interface Reader<H> {
  feed(bytes: Buffer): void;
  next(): Event<H> | null;
  finish(): void;
  takeRest(): Buffer;
  readonly idle: boolean;
}

export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Feeds the pieces, each followed by all events that it gives; then, if asked, the end of the connection. */
export function drain<H>(reader: Reader<H>, pieces: Iterable<Buffer>, ended: boolean): Outcome<H> {
  const outcome: Outcome<H> = { messages: [], error: null, refusedAt: 0, idle: false, rest: '' };
  let fed = 0;
  try {
    for (const piece of pieces) {
      fed += piece.length;
      reader.feed(piece);
      collect(reader, outcome.messages);
    }
    if (ended) {
      reader.finish();
      collect(reader, outcome.messages);
    }
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    outcome.error = { code: error.code, message: error.message };
    outcome.refusedAt = fed;
    expect(() => reader.next()).toThrow(error);
  }
  outcome.idle = reader.idle;
  outcome.rest = reader.takeRest().toString('latin1');
  return outcome;
}

function collect<H>(reader: Reader<H>, messages: Message<H>[]): void {
  for (let event = reader.next(); event !== null; event = reader.next()) {
    const last = messages.at(-1);
    if (event.kind === 'head') messages.push({ head: event.head, body: '', trailers: null });
    else if (last?.trailers !== null) throw new Error(`${event.kind} outside of a message`);
    else if (event.kind === 'end') last.trailers = event.trailers;
    else if (event.bytes.length === 0) throw new Error('an empty piece of data');
    else last.body += event.bytes.toString('latin1');
  }
}

export function readRequests(pieces: Iterable<Buffer>, ended = false, limits = LIMITS): Outcome<RequestHead> {
  return drain(new RequestReader(limits), pieces, ended);
}

export function readResponses(
  methods: readonly string[],
  pieces: Iterable<Buffer>,
  ended = false,
  limits = LIMITS,
): Outcome<ResponseHead> {
  const reader = new ResponseReader(limits);
  for (const method of methods) reader.expect(method);
  return drain(reader, pieces, ended);
}

/** Reads `text` whole, cut at every place, and byte by byte; the same must come out each time. Returns it. */
export function everySplit<H>(text: string, read: (pieces: Iterable<Buffer>) => Outcome<H>): Outcome<H> {
  const bytes = latin1(text);
  const whole = read([bytes]);
  const { refusedAt, ...bytewise } = read(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
  expect(bytewise).toEqual({ ...bytewise, messages: whole.messages, error: whole.error });
  for (let at = 1; at < bytes.length; at++) {
    const { messages, error, idle, rest } = read([bytes.subarray(0, at), bytes.subarray(at)]);
    expect({ at, messages, error, idle, rest }).toEqual({
      at,
      messages: whole.messages,
      error: whole.error,
      idle: whole.idle,
      rest: whole.rest,
    });
    // Refused as soon as the byte is there, and not before.
    if (whole.error)
      expect(read([bytes.subarray(0, at)]).error, `of ${at} bytes`).toEqual(at < refusedAt ? null : whole.error);
  }
  return { ...whole, refusedAt };
}
