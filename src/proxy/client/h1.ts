/** HTTP/1.1 towards the client (RFC 9112), on node:http's parser and serializer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { MtlsdError } from '../../core/errors.ts';
import { gather } from '../../core/gather.ts';
import type { ClientStream } from './stream.ts';

const NOTHING = Buffer.alloc(0);

/** What of a response has come is sent at the end of the turn of the event loop; nearly always that is all of it, and sent by then. */
const begun = gather<H1Stream>('turn', (stream) => stream.sendBegun());

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
  /** The response has a head, of which nothing was sent. */
  #begun = false;
  /** The piece of the body that came with it. */
  #first: Buffer | null = null;

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
    this.#begun = true;
    begun.add(this);
  }

  /** Not flushHeaders() for a head alone: it writes the fields in UTF-8 (Node 24.21) and would double what latin1 has above 127. */
  sendBegun(): void {
    if (!this.#begun) return;
    this.#begun = false;
    if (!this.#response.destroyed) this.#response.write(this.#first ?? NOTHING);
  }

  write(chunk: Buffer): boolean {
    if (this.#begun && !this.#first) {
      this.#first = chunk;
      return true;
    }
    this.sendBegun();
    if (this.#response.write(chunk)) return true;
    this.#response.once('drain', () => this.onDrain?.());
    return false;
  }

  end(trailers: string[]): void {
    if (trailers.length > 0) {
      const pairs: [string, string][] = [];
      for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i] as string, trailers[i + 1] as string]);
      this.#response.addTrailers(pairs);
    }
    const whole = this.#begun ? this.#first : null;
    this.#begun = false;
    this.#response.end(whole ?? undefined);
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
