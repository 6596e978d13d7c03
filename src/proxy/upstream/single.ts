/**
 * HTTP/1.1 on a connection of its own, through node:http, for what undici's pools can't say (8.12): an Upgrade that may be
 * declined, request trailers, `OPTIONS *`.
 */
import { randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Upstream } from './dial.ts';
import type { RequestHandler, UpstreamRequest } from './request.ts';

/** undici's limit for the fields of a response too (pool.ts). */
const MAX_HEADER_BYTES = 256 * 1024;

export function dispatchSingle(
  upstream: Upstream,
  request: UpstreamRequest,
  path: string,
  handler: RequestHandler,
): void {
  const { tunnel, body, trailers } = request;
  const method = tunnel && request.method === 'CONNECT' ? 'GET' : request.method; // from HTTP/2, RFC 8441 §5
  const fields = [...request.fields];
  if (tunnel) fields.push('Connection', 'Upgrade', 'Upgrade', tunnel);
  // An HTTP/2 client has no key to send; RFC 6455 §4.1 wants 16 random octets.
  if (tunnel && !has(fields, 'sec-websocket-key')) fields.push('Sec-WebSocket-Key', randomBytes(16).toString('base64'));
  if (!tunnel) fields.push('Connection', 'close');
  if (body && !has(fields, 'content-length')) fields.push('Transfer-Encoding', 'chunked');
  if (!has(fields, 'host')) fields.push('Host', request.host ?? request.authority);
  const outgoing = httpRequest({
    createConnection: () => upstream.socket,
    method,
    path,
    headers: fields,
    setHost: false,
    setDefaultHeaders: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  let ended = false;
  const fail = (error: Error): void => {
    if (ended) return;
    ended = true;
    handler.onResponseError(error);
  };
  let response: IncomingMessage | null = null;
  handler.onRequestStart({
    abort: (reason) => {
      ended = true;
      outgoing.destroy(reason);
    },
    pause: () => response?.pause(),
    resume: () => response?.resume(),
  });
  handler.reached(upstream);
  outgoing.on('error', fail);
  outgoing.on('close', () => fail(new Error('the connection ended before the response was through')));
  outgoing.on('information', ({ statusCode, rawHeaders, statusMessage }) =>
    handler.onResponseStart(statusCode, rawHeaders, statusMessage, false),
  );
  outgoing.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    ended = true;
    if (head.byteLength > 0) socket.unshift(head);
    handler.onTunnel(socket, incoming.rawHeaders);
  });
  outgoing.on('response', (incoming: IncomingMessage) => {
    response = incoming;
    handler.onResponseStart(incoming.statusCode ?? 502, incoming.rawHeaders, incoming.statusMessage ?? '', false);
    incoming.on('data', (chunk: Buffer) => handler.onResponseData(chunk));
    incoming.on('end', () => {
      if (ended) return;
      ended = true;
      handler.onResponseEnd(incoming.rawTrailers);
      upstream.socket.destroy();
    });
    incoming.on('error', fail);
  });
  if (body) send(outgoing, body, trailers, handler);
  else outgoing.end();
}

function send(
  outgoing: ClientRequest,
  body: NonNullable<UpstreamRequest['body']>,
  trailers: UpstreamRequest['trailers'],
  handler: RequestHandler,
): void {
  body.on('data', (chunk: Buffer) => handler.onBodySent(chunk));
  body.on('end', () => {
    const flat = trailers();
    const pairs: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i] as string, flat[i + 1] as string]);
    if (pairs.length > 0) outgoing.addTrailers(pairs);
    outgoing.end();
  });
  body.pipe(outgoing, { end: false });
}

function has(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if ((fields[i] as string).toLowerCase() === name) return true;
  return false;
}
