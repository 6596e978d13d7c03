/**
 * What the proxy answers for its own name. A client that gets the answer uses the proxy; over https it trusts the local CA too.
 * `mtlsd doctor` asks for it with each client: Go and Java bypass proxies for loopback, so no address of this machine would do.
 * A browser gets a page over plain HTTP, where nothing has to be trusted.
 */
import { STATUS_CODES } from 'node:http';
import { OWN_NAME } from '../core/own-name.ts';
import { preferredForm } from './answer.ts';
import type { ClientConnection, ClientStream } from './client/stream.ts';
import { fieldValue } from './exchange/fields.ts';
import { type LandingCa, type LandingFile, landingFiles } from './landing/page.ts';

/** What the answer begins with, whatever comes after it. */
export const OWN_ANSWER = 'this answer comes from mtlsd: the request used the proxy';

export const isOwnName = ({ authority }: Pick<ClientConnection, 'authority'>): boolean => authority.host === OWN_NAME;

const plain = (text: string): LandingFile => ({
  fields: ['Content-Type', 'text/plain; charset=utf-8'],
  body: Buffer.from(`${text}\n`),
});

/**
 * Answers in the place of an origin that does not exist: no upstream, no certificate, no record.
 * @param ca what clients have to trust now
 */
export function ownNameAnswers(ca: () => LandingCa) {
  const marker = plain(OWN_ANSWER);
  let shown: LandingCa | null = null;
  let landing: ReturnType<typeof landingFiles> = new Map();

  function fileFor(scheme: ClientConnection['scheme'], { path, fields }: ClientStream): LandingFile | undefined {
    const [name = ''] = path.split('?');
    const wantsPage = scheme === 'http' && preferredForm(fieldValue(fields, 'accept')) === 'html';
    if (name === '/' && !wantsPage) return marker;
    if (scheme === 'https') return undefined;
    const now = ca();
    if (shown !== now) landing = landingFiles((shown = now), OWN_ANSWER);
    return landing.get(name);
  }

  return ({ scheme }: ClientConnection, stream: ClientStream, draining: boolean): void => {
    // It reads no body, so a connection with one ends with the answer.
    stream.events = { onBody() {}, onBodyEnd() {}, onClientDrain() {}, checkTime() {}, onGone() {} };
    const file = fileFor(scheme, stream);
    const status = !file ? 404 : stream.method === 'GET' || stream.method === 'HEAD' ? 200 : 405;
    const { fields: own, body } = file && status === 200 ? file : plain(STATUS_CODES[status] ?? '');
    const fields = [...own, 'Content-Length', String(body.byteLength)];
    if (status === 405) fields.push('Allow', 'GET, HEAD');
    fields.push('Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff');
    if (scheme === 'http' && status === 200) fields.push('Vary', 'Accept');
    stream.respond(status, STATUS_CODES[status] ?? '', fields, false, stream.hasBody || draining);
    if (stream.method !== 'HEAD') stream.write(body);
    stream.end([]);
  };
}
