/**
 * A name that only this proxy answers. A client that gets the answer uses the proxy; over https it trusts the local CA too.
 * `mtlsd doctor` asks for it with each client: Go and Java bypass proxies for loopback, so no address of this machine would do.
 * RFC 6761 §6.2 reserves `.test`: no server on the internet has the name.
 */
import { STATUS_CODES } from 'node:http';
import { OWN_NAME } from '../core/own-name.ts';
import type { ClientConnection, ClientStream } from './client/stream.ts';

/** What the answer begins with, whatever comes after it. */
export const OWN_ANSWER = 'this answer comes from mtlsd: the request used the proxy';

export const isOwnName = ({ authority }: Pick<ClientConnection, 'authority'>): boolean => authority.host === OWN_NAME;

/** Answers in the place of an origin that does not exist: no upstream, no certificate, no record. */
export function answerOwnName(stream: ClientStream, draining: boolean): void {
  // It reads no body, so a connection with one ends with the answer.
  stream.events = { onBody() {}, onBodyEnd() {}, onClientDrain() {}, checkTime() {}, onGone() {} };
  const [path] = stream.path.split('?');
  const status = path !== '/' ? 404 : stream.method === 'GET' || stream.method === 'HEAD' ? 200 : 405;
  const body = Buffer.from(status === 200 ? `${OWN_ANSWER}\n` : `${STATUS_CODES[status]}\n`);
  const fields = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(body.byteLength)];
  if (status === 405) fields.push('Allow', 'GET, HEAD');
  fields.push('Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff');
  stream.respond(status, STATUS_CODES[status] ?? '', fields, false, stream.hasBody || draining);
  if (stream.method !== 'HEAD') stream.write(body);
  stream.end([]);
}
