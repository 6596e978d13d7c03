/** HTTP/1.1 towards the client (RFC 9112), on node:http's parser and serializer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { MtlsdError } from '../../core/errors.ts';
import type { ClientStream } from './stream.ts';

const NOTHING = Buffer.alloc(0);

const flushHead = (stream: H1Stream): void => stream.flushHead();

export class H1Stream implements ClientStream {
  readonly http: '1.0' | '1.1';
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  readonly body: Readable | null;
  readonly tunnel: string | null;
  onDrain: (() => void) | null = null;
  onGone: ((h2Code?: number) => void) | null = null;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #expectsContinue: boolean;
  #headSent = false;

  /** @param path origin-form; the request line may have had more */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    expectsContinue: boolean,
    tunnel: string | null = null,
  ) {
    this.tunnel = tunnel;
    this.#request = request;
    this.#response = response;
    this.#expectsContinue = expectsContinue;
    this.http = request.httpVersion === '1.0' ? '1.0' : '1.1';
    this.method = request.method ?? 'GET';
    this.path = path;
    this.fields = request.rawHeaders;
    const { 'transfer-encoding': coding, 'content-length': length } = request.headers;
    this.body = coding !== undefined || (length !== undefined && length !== '0') ? request : null;
    response.sendDate = false; // a Date is the origin's to give
    response.on('close', () => {
      if (!response.writableFinished) this.onGone?.();
    });
  }

  get host(): string | undefined {
    return this.#request.headers.host;
  }

  trailers(): string[] {
    return this.#request.rawTrailers;
  }

  acceptTunnel(fields: string[]): Duplex {
    const { socket } = this.#request;
    this.#response.detachSocket(socket);
    let head = 'HTTP/1.1 101 Switching Protocols\r\n';
    for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
    socket.write(`${head}Connection: Upgrade\r\nUpgrade: ${this.tunnel}\r\n\r\n`, 'latin1');
    return socket;
  }

  readyForBody(): void {
    if (!this.#expectsContinue) return;
    this.#expectsContinue = false;
    this.#response.writeContinue();
  }

  inform(status: number, fields: string[]): void {
    // Node has a public call for 103 only; 102 and unknown ones say nothing that a client must see (RFC 9110 §15.2).
    if (status !== 103) return;
    const hints: Record<string, string | string[]> = {};
    for (let i = 0; i < fields.length; i += 2) {
      const name = (fields[i] as string).toLowerCase();
      const value = fields[i + 1] as string;
      const before = hints[name];
      hints[name] = before === undefined ? value : [before, value].flat();
    }
    if (hints.link !== undefined) this.#response.writeEarlyHints(hints);
  }

  respond(status: number, reason: string, fields: string[]): void {
    // A client that never got its 100 (Continue) sends no body; without this the connection would wait for one.
    if (this.#expectsContinue) this.#response.shouldKeepAlive = false;
    this.#response.writeHead(status, reason, fields);
    // The head goes with the first chunk; where none has come by then, it must not wait for one (server-sent events).
    process.nextTick(flushHead, this);
  }

  /** Not flushHeaders(), which writes the fields in UTF-8 (Node 24.21) and would double what latin1 has above 127. */
  flushHead(): void {
    if (this.#headSent || this.#response.destroyed) return;
    this.#headSent = true;
    this.#response.write(NOTHING);
  }

  write(chunk: Buffer): boolean {
    this.#headSent = true;
    if (this.#response.write(chunk)) return true;
    this.#response.once('drain', () => this.onDrain?.());
    return false;
  }

  end(trailers: string[]): void {
    this.#headSent = true;
    if (trailers.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i] as string, trailers[i + 1] as string]);
      this.#response.addTrailers(pairs);
    }
    this.#response.end();
  }

  abort(): void {
    this.#response.destroy();
  }
}

/**
 * Framing that llhttp lets by and that two readers could understand in two ways is refused (RFC 9112 §6).
 * @throws MtlsdError BAD_REQUEST
 */
export function checkFraming(request: IncomingMessage): void {
  const { 'transfer-encoding': coding, 'content-length': length } = request.headers;
  if (coding === undefined) return;
  if (coding.toLowerCase() !== 'chunked')
    throw new MtlsdError(
      'BAD_REQUEST',
      `Transfer-Encoding ${JSON.stringify(coding.slice(0, 100))} is not taken; only chunked is`,
    );
  if (length !== undefined)
    throw new MtlsdError('BAD_REQUEST', 'a request with both Content-Length and Transfer-Encoding is refused');
  if (request.httpVersion === '1.0')
    throw new MtlsdError('BAD_REQUEST', 'Transfer-Encoding in an HTTP/1.0 request is refused');
}
