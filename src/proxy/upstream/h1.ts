/** HTTP/1.1 to an origin through an undici pool. */
import diagnostics from 'node:diagnostics_channel';
import { IncomingMessage, type IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import type { Dispatcher, Pool } from 'undici';
import { upstreamOf } from './dial.ts';
import type { RequestHandler, UpstreamRequest } from './request.ts';

// undici tells on which socket a request goes by this channel only, synchronously after onRequestStart.
let starting: RequestHandler | null = null;
diagnostics.subscribe('undici:client:sendHeaders', (message) => {
  const upstream = upstreamOf((message as { socket: object }).socket);
  if (upstream) starting?.reached(upstream);
  starting = null;
});

/** What a TLS record holds at most (RFC 8446 §5.1), and so a buffer that was read. */
const RECORD = 16 * 1024;

/** Spares a socket what undici (8.12) asks of it and a daemon has no use for. */
export function forUndici(socket: Socket): Socket {
  // undici reads all that a socket holds at once, for which Node makes one buffer of several: a copy of every byte of a large
  // body, and twice the garbage. Read by the record, buffers are handed on as they came.
  const read = socket.read.bind(socket);
  socket.read = (size?: number) =>
    read(size === undefined && socket.readableLength > RECORD ? RECORD : size) as Buffer | null;
  // Whether an idle connection keeps the process running, told twice for each request; the listeners do that.
  socket.ref = socket.unref = () => socket;
  return socket;
}

/** @param path absolute-form where the request goes to a proxy in the clear */
export function dispatchH1(
  pool: Pool,
  origin: string,
  request: UpstreamRequest,
  path: string,
  handler: RequestHandler,
): void {
  const { method, fields } = request;
  const body = request.body && (request.body instanceof IncomingMessage ? request.body : readableOf(request.body));
  pool.dispatch(
    // blocking holds up pipelined requests, of which there are none.
    { origin, method, path, headers: fields as string[], body, bodyTimeout: 0, blocking: false },
    new H1Handler(handler),
  );
}

/** The readable side of an HTTP/2 stream alone: undici destroys a body once it is sent, and the response is still to come. */
function readableOf(stream: Readable): Readable {
  const body = stream.pipe(new PassThrough());
  stream.once('close', () => {
    if (!stream.readableEnded) body.destroy(new Error('the client left'));
  });
  return body;
}

class H1Handler implements Dispatcher.DispatchHandler {
  readonly #handler: RequestHandler;

  constructor(handler: RequestHandler) {
    this.#handler = handler;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (!this.#handler.wanted) controller.abort(new Error('the client left'));
    this.#handler.onRequestStart(controller);
    starting = this.#handler;
  }

  onBodySent(chunk: Buffer): void {
    this.#handler.onBodySent(chunk);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    reason?: string,
  ): void {
    this.#handler.onResponseStart(status, flat(controller.rawHeaders, headers), reason ?? '', false);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#handler.onResponseEnd(flat(controller.rawTrailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#handler.onResponseError(error);
  }
}

/**
 * Field values are latin1 on the wire (RFC 9110 §5.5), so that every octet survives.
 * @param decoded the same fields as undici decoded them, by lower-case name: a text where there is but one of that name
 */
function flat(raw: Dispatcher.DispatchController['rawHeaders'], decoded: IncomingHttpHeaders = {}): string[] {
  const fields: string[] = [];
  if (!Array.isArray(raw)) return fields;
  for (let i = 0; i < raw.length; i += 2) {
    const name = latin1(raw[i] ?? '');
    const value = decoded[name.toLowerCase()];
    fields.push(name, typeof value === 'string' ? value : latin1(raw[i + 1] ?? ''));
  }
  return fields;
}

const latin1 = (part: Buffer | string): string => (typeof part === 'string' ? part : part.toString('latin1'));
