/** HTTP/2 towards the client (RFC 9113), on node:http2's sessions. */
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Duplex, Readable } from 'node:stream';
import { toObject, withoutPseudo } from '../h2-fields.ts';
import type { ClientStream } from './stream.ts';

/** Fields of one connection only; HTTP/2 has none (RFC 9113 §8.2.2), and node:http2 throws on them. */
const FORBIDDEN = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export class H2Stream implements ClientStream {
  readonly http = '2' as const;
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  readonly body: Readable | null;
  readonly host: string | undefined;
  readonly tunnel: string | null;
  onDrain: (() => void) | null = null;
  onGone: ((h2Code?: number) => void) | null = null;
  readonly #stream: ServerHttp2Stream;
  #trailers: string[] = [];
  #responseTrailers: string[] = [];
  #aborted = false;

  /** @param raw flat list as the 'stream' event hands it over, pseudo-fields in front */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: readonly string[]) {
    this.#stream = stream;
    this.method = headers[':method'] ?? 'GET';
    this.path = headers[':path'] ?? '/';
    this.host = headers[':authority'] ?? headers.host;
    this.fields = withoutPseudo(raw);
    this.body = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0 && this.method !== 'CONNECT' ? stream : null;
    this.tunnel = this.method === 'CONNECT' ? (headers[':protocol'] ?? '') : null;
    stream.on('trailers', (...[, , raw]: unknown[]) => {
      this.#trailers = withoutPseudo(raw as string[]); // @types/node leaves the raw list out
    });
    stream.on('drain', () => this.onDrain?.());
    stream.on('error', () => {}); // a reset by the client is routine; 'close' tells it
    stream.on('close', () => {
      if (!stream.writableFinished || stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.onGone?.(stream.rstCode);
    });
  }

  trailers(): string[] {
    return this.#trailers;
  }

  acceptTunnel(fields: string[]): Duplex {
    this.#stream.respond({ ...allowed(fields), ':status': 200 });
    return this.#stream;
  }

  readyForBody(): void {
    // 100 (Continue) is answered by node:http2 itself
  }

  inform(status: number, fields: string[]): void {
    if (this.#stream.destroyed || this.#stream.headersSent) return;
    this.#stream.additionalHeaders({ ...allowed(fields), ':status': status });
  }

  respond(status: number, _reason: string, fields: string[], ended: boolean): void {
    if (this.#stream.destroyed) return;
    if (ended) {
      this.#stream.respond({ ...allowed(fields), ':status': status }, { endStream: true });
      return;
    }
    this.#stream.respond({ ...allowed(fields), ':status': status }, { waitForTrailers: true, endStream: false });
    // close() ends the body too; without its trailers it stays incomplete, and only the reset reaches the client.
    this.#stream.on('wantTrailers', () => {
      if (!this.#aborted) this.#stream.sendTrailers(allowed(this.#responseTrailers));
    });
  }

  write(chunk: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.write(chunk);
  }

  end(trailers: string[]): void {
    this.#responseTrailers = trailers;
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.end();
    // What is left of the request has nowhere to go; unread, it would hold the stream open.
    stream.resume();
  }

  abort(h2Code: number = constants.NGHTTP2_INTERNAL_ERROR): void {
    this.#aborted = true;
    this.#stream.close(h2Code);
  }
}

/** The fields that HTTP/2 takes, as the object that node:http2 does. */
function allowed(fields: readonly string[]): OutgoingHttpHeaders {
  const headers = toObject(fields);
  for (const name of FORBIDDEN) delete headers[name];
  return headers;
}
