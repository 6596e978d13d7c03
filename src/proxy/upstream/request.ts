/** What an exchange asks of an upstream connection, and hears back; the same for HTTP/1.1 and HTTP/2. */
import type { Duplex, Readable } from 'node:stream';
import type { Upstream } from './dial.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** `host:port` */
  readonly authority: string;
  /** Origin-form, or `*`. */
  readonly path: string;
  /** Flat, end-to-end fields only, the Host field among them where the client sent one. */
  readonly fields: readonly string[];
  /** What the client named as host; `:authority` upstream. */
  readonly host: string | undefined;
  readonly body: Readable | null;
  /** Asked for once the body has ended; flat. */
  readonly trailers: () => string[];
  /** A Trailer field announces them: HTTP/1.1 has to carry them then (RFC 9110 §6.6.2). */
  readonly announcesTrailers: boolean;
  /** The request goes on as a two-way stream of this protocol (RFC 9110 §7.8, RFC 8441): `websocket`. */
  readonly tunnel: string | null;
}

export interface RequestControl {
  /** @param h2Code the code of RST_STREAM, where the client gave one */
  abort(reason: Error, h2Code?: number): void;
  pause(): void;
  resume(): void;
}

export interface RequestHandler {
  /** False when the client has left meanwhile: nothing is sent then. */
  readonly wanted: boolean;
  onRequestStart(control: RequestControl): void;
  /** The request goes out on this connection. */
  reached(upstream: Upstream): void;
  onBodySent(chunk: Buffer): void;
  /**
   * 1xx but 101 as often as they come, then one final status; fields flat and as received.
   * @param ended nothing follows, which HTTP/2 says with the fields: gRPC tells such a response from an empty body
   */
  onResponseStart(status: number, fields: string[], reason: string, ended: boolean): void;
  onResponseData(chunk: Buffer): void;
  onResponseEnd(trailers: string[]): void;
  /** Nothing comes after it. */
  onResponseError(error: Error): void;
  /** `tunnel` was agreed to. */
  onTunnel(stream: Duplex, fields: string[]): void;
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

/** An origin's RST_STREAM, or its GOAWAY before the stream; the code is passed on to a client on HTTP/2. */
export class StreamReset extends Error {
  readonly h2Code: number;

  constructor(h2Code: number) {
    super(`the origin reset the stream (${H2_CODES[h2Code] ?? h2Code})`);
    this.h2Code = h2Code;
  }

  /** RFC 9113 §8.7: the origin says that it has not touched the request. */
  get untouched(): boolean {
    return H2_CODES[this.h2Code] === 'REFUSED_STREAM';
  }
}
