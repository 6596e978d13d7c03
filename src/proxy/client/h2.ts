/** HTTP/2 towards the client (RFC 9113), on node:http2's sessions. */
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
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
  onDrain: (() => void) | null = null;
  onGone: (() => void) | null = null;
  readonly #stream: ServerHttp2Stream;

  /** @param raw flat list as the 'stream' event hands it over, pseudo-fields in front */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: readonly string[]) {
    this.#stream = stream;
    this.method = headers[':method'] ?? 'GET';
    this.path = headers[':path'] ?? '/';
    this.host = headers[':authority'] ?? headers.host;
    this.fields = withoutPseudo(raw);
    this.body = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0 ? stream : null;
    stream.on('drain', () => this.onDrain?.());
    stream.on('error', () => {}); // a reset by the client is routine; 'close' tells it
    stream.on('close', () => {
      if (!stream.writableFinished || stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.onGone?.();
    });
  }

  readyForBody(): void {
    // 100 (Continue) is answered by node:http2 itself
  }

  inform(status: number, fields: string[]): void {
    if (this.#stream.destroyed || this.#stream.headersSent) return;
    this.#stream.additionalHeaders({ ...toObject(fields), ':status': status });
  }

  respond(status: number, _reason: string, fields: string[]): void {
    if (this.#stream.destroyed) return;
    this.#stream.respond({ ...toObject(fields), ':status': status }, { waitForTrailers: true, endStream: false });
  }

  write(chunk: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.write(chunk);
  }

  end(trailers: string[]): void {
    if (this.#stream.destroyed) return;
    this.#stream.once('wantTrailers', () => {
      this.#stream.sendTrailers(toObject(trailers));
    });
    this.#stream.end();
  }

  abort(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

function withoutPseudo(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2)
    if (!(raw[i] as string).startsWith(':')) fields.push(raw[i] as string, raw[i + 1] as string);
  return fields;
}

/** node:http2 takes an object; fields that come twice become lists, their order kept. */
function toObject(fields: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase();
    if (FORBIDDEN.has(name)) continue;
    const value = fields[i + 1] as string;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}
