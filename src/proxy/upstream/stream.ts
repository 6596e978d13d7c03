/**
 * What an exchange asks of an origin, and hears back; the same for HTTP/1.1 and HTTP/2, which one contract test holds to it
 * (test/unit/proxy/upstream-contract.test.ts). The order of events is
 * `onReached onInform* (onResponse onData* onEnd | onTunnel)`, and `onError` in place of the rest. A response may
 * come before the request was sent whole. Nothing comes after `onEnd`, `onTunnel`, `onError` or an `abort`.
 */
import type { Duplex } from 'node:stream';
import type { MtlsdError } from '../../core/errors.ts';
import type { UpstreamConnection } from './connection.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Origin-form, or `*`. */
  readonly path: string;
  /** Flat, end-to-end fields only, without Host. */
  readonly fields: readonly string[];
  /** The Host field, `:authority` in HTTP/2. */
  readonly host: string;
  readonly hasBody: boolean;
  /** Whether the client announced trailers, or may send them unannounced; `te: trailers` is forwarded with its Connection option. */
  readonly teTrailers: boolean;
  /** The request continues as a two-way stream of this protocol (RFC 9110 §7.8, RFC 8441): `websocket`. */
  readonly tunnel: string | null;
}

/** The way to the origin, for the exchange. */
export interface UpstreamStream {
  /** A piece of the body; false where the origin's side is full: stop until onDrain. */
  write(chunk: Buffer): boolean;
  /** @param trailers flat; empty for none */
  end(trailers: readonly string[]): void;
  pause(): void;
  resume(): void;
  /** Ends the stream without more events. @param h2Code the client's reset code, where it gave one */
  abort(h2Code?: number): void;
}

export interface UpstreamEvents {
  /** The head was written; the body may follow. @param reused the connection carried requests before */
  onReached(stream: UpstreamStream, connection: UpstreamConnection, reused: boolean): void;
  /** A 1xx other than 100 and 101; fields flat and as received. */
  onInform(status: number, fields: string[]): void;
  /** @param ended nothing follows, which HTTP/2 says with the fields: gRPC distinguishes it from an empty body */
  onResponse(status: number, reason: string, fields: string[], ended: boolean): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: string[]): void;
  /** `tunnel` was agreed to; fields as received. */
  onTunnel(stream: Duplex, fields: string[]): void;
  onDrain(): void;
  /** Nothing comes after it. */
  onError(error: MtlsdError | StreamFailure): void;
  /** The store changed before a connection was found: decide again. */
  onWithdrawn(): void;
}

/** What ended a stream before its response was through: facts, from which `failure/` makes the explanation. */
export class StreamFailure extends Error {
  /** `closed`: the connection ended. `reset`: this stream alone, with a code. `invalid`: what came is not HTTP. */
  readonly kind: 'closed' | 'reset' | 'invalid';
  /** RST_STREAM's code, or that of a GOAWAY. */
  readonly h2Code: number | null;

  constructor(kind: StreamFailure['kind'], message: string, h2Code: number | null = null, cause?: Error | null) {
    super(message, cause ? { cause } : undefined);
    this.kind = kind;
    this.h2Code = h2Code;
  }

  /** RFC 9113 §8.7: the origin says that it has not touched the request. */
  get untouched(): boolean {
    return this.h2Code !== null && H2_CODES[this.h2Code] === 'REFUSED_STREAM';
  }

  static reset(h2Code: number): StreamFailure {
    return new StreamFailure('reset', `the origin reset the stream (${H2_CODES[h2Code] ?? h2Code})`, h2Code);
  }
}

/** RFC 9113 §7, by number. */
const H2_CODES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];
