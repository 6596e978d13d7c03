/**
 * Which fields are forwarded: what one connection says to the next only (RFC 9110 §7.6.1) is taken off flat `[name, value, …]` lists
 * in one pass. Order, case and duplicates of everything else stay as they were.
 */
import { MtlsdError } from '../../core/errors.ts';

/** Never forwarded, whether or not Connection names them. Lower case. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  // RFC 9113 §3.2.1: of the h2c upgrade, which is not offered on TLS.
  'http2-settings',
]);

/** The fields that a client speaks to this daemon with; the rest of the request never shows them. */
const OWN_FIELDS = { verification: 'mtlsd-verification', certificate: 'mtlsd-certificate' } as const;

/** The length alone shows that most names mean nothing here, which saves a copy and a hash of each. */
const MEANINGFUL_LENGTHS = new Set(
  [
    ...HOP_BY_HOP,
    ...Object.values(OWN_FIELDS),
    ...['expect', 'host', 'via', 'content-length', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'origin'],
  ].map((name) => name.length),
);
const MEANINGFUL = Array.from({ length: 1 + Math.max(...MEANINGFUL_LENGTHS) }, (_, n) => MEANINGFUL_LENGTHS.has(n));
const meansNothing = (name: string): boolean => name.length >= MEANINGFUL.length || MEANINGFUL[name.length] === false;

/** RFC 9110 §6.5.1: of framing, routing and authentication, which a trailer must not change. */
const NEVER_IN_TRAILERS = new Set(['content-length', 'host', 'trailer', 'authorization', ...Object.values(OWN_FIELDS)]);

/** What a browser says about the page that makes a request (Fetch Metadata; RFC 6454 for Origin). */
export interface BrowserFields {
  readonly site: string | undefined;
  readonly mode: string | undefined;
  readonly dest: string | undefined;
  readonly origin: string | undefined;
}

export interface ForwardedFields {
  /** Flat list to send on, without Host, which each version of HTTP says in its own way. */
  readonly fields: string[];
  readonly host: string | undefined;
  readonly verification: string | undefined;
  readonly certificate: string | undefined;
  readonly via: string | undefined;
  readonly browser: BrowserFields;
  /** TE names trailers: RFC 9110 §10.1.4; the one value of TE that gRPC needs end to end. */
  readonly teTrailers: boolean;
}

/** @throws MtlsdError BAD_REQUEST for two Host fields */
export function forwardRequestFields(fields: readonly string[]): ForwardedFields {
  const named = connectionNamed(fields);
  const kept: string[] = [];
  let verification: string | undefined;
  let certificate: string | undefined;
  let host: string | undefined;
  let via: string | undefined;
  let site: string | undefined;
  let mode: string | undefined;
  let dest: string | undefined;
  let origin: string | undefined;
  let teTrailers = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (named === null && meansNothing(name)) {
      kept.push(name, value);
      continue;
    }
    const lower = name.toLowerCase();
    switch (lower) {
      case 'te':
        teTrailers ||= /(^|[\s,])trailers\b/i.test(value);
        continue;
      case 'expect': // answered here: client/h1.ts
        continue;
      case OWN_FIELDS.verification:
        verification = value.trim();
        continue;
      case OWN_FIELDS.certificate:
        certificate = value.trim();
        continue;
      case 'host':
        // RFC 9112 §3.2: two readers could go by either.
        if (host !== undefined) throw new MtlsdError('BAD_REQUEST', 'a request with two Host fields is refused');
        host = value;
        continue;
      case 'via':
        via = via === undefined ? value : `${via}, ${value}`;
        break;
      case 'sec-fetch-site':
        site = value;
        break;
      case 'sec-fetch-mode':
        mode = value;
        break;
      case 'sec-fetch-dest':
        dest = value;
        break;
      case 'origin':
        origin = value;
        break;
    }
    if (HOP_BY_HOP.has(lower) || named?.has(lower)) continue;
    kept.push(name, value);
  }
  return { fields: kept, host, verification, certificate, via, teTrailers, browser: { site, mode, dest, origin } };
}

/** The same for a response; changes the list in place, which is the receiver's own. */
export function forwardResponseFields(fields: string[], status: number): string[] {
  const named = connectionNamed(fields);
  // RFC 9110 §8.6: no Content-Length in 1xx and 204.
  const bodyless = status < 200 || status === 204;
  return retain(fields, (name) => {
    if (named === null && meansNothing(name)) return true;
    const lower = name.toLowerCase();
    return !HOP_BY_HOP.has(lower) && !named?.has(lower) && !(bodyless && lower === 'content-length');
  });
}

/** Trailers of either direction; changes the list in place. */
export function forwardTrailers(trailers: string[]): string[] {
  return retain(trailers, (name) => {
    const lower = name.toLowerCase();
    return !HOP_BY_HOP.has(lower) && !NEVER_IN_TRAILERS.has(lower);
  });
}

function retain(fields: string[], keep: (name: string) => boolean): string[] {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (!keep(fields[i] as string)) continue;
    fields[kept] = fields[i] as string;
    fields[kept + 1] = fields[i + 1] as string;
    kept += 2;
  }
  fields.length = kept;
  return fields;
}

/** RFC 9110 §7.6.1: a sender must not name an end-to-end field; attacks do. */
const NEVER_HOP_BY_HOP = [
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
  'sec-fetch-site',
  'origin',
  ...Object.values(OWN_FIELDS),
];

/** The names that Connection lists. Those that would cut framing or the host out of a request are not heeded. */
function connectionNamed(fields: readonly string[]): Set<string> | null {
  let named: Set<string> | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    const value = fields[i + 1] as string;
    if (value === 'close' || value === 'keep-alive' || value === 'Keep-Alive') continue;
    named ??= new Set();
    for (const option of value.split(',')) named.add(option.trim().toLowerCase());
  }
  if (named) for (const needed of NEVER_HOP_BY_HOP) named.delete(needed);
  return named;
}

/** The first value of a field. @param name lower case */
export function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    const field = fields[i] as string;
    if (field.length === name.length && field.toLowerCase() === name) return fields[i + 1];
  }
  return undefined;
}

/** As HTTP/1.1 writes them, with colon, space and line end. */
export function sizeOf(fields: readonly string[]): number {
  let size = 0;
  for (const part of fields) size += part.length + 2;
  return size;
}
