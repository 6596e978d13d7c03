/**
 * What one connection says to the next only (RFC 9110 §7.6.1), taken off flat `[name, value, …]` lists in one pass.
 * Order, case and duplicates of everything else stay as they were.
 */

import { MtlsdError } from '../core/errors.ts';

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
export const OWN_FIELDS = { verification: 'mtlsd-verification', certificate: 'mtlsd-certificate' } as const;

export interface ForwardedFields {
  /** Flat list to send on. */
  readonly fields: string[];
  readonly verification: string | undefined;
  readonly certificate: string | undefined;
  readonly host: string | undefined;
  readonly via: string | undefined;
  readonly expect: string | undefined;
  readonly upgrade: string | undefined;
  /** TE names trailers: RFC 9110 §10.1.4; the one value of TE that gRPC needs end to end. */
  readonly teTrailers: boolean;
  /** Names a Trailer field: the body's trailers are announced. */
  readonly trailer: boolean;
}

/**
 * @param fields flat list as node:http's rawHeaders has it
 * @throws MtlsdError BAD_REQUEST
 */
export function forwardRequestFields(fields: readonly string[]): ForwardedFields {
  const named = connectionNamed(fields);
  const kept: string[] = [];
  let verification: string | undefined;
  let certificate: string | undefined;
  let host: string | undefined;
  let via: string | undefined;
  let expect: string | undefined;
  let upgrade: string | undefined;
  let teTrailers = false;
  let trailer = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower)) {
      if (lower === 'upgrade') upgrade = value;
      else if (lower === 'te' && /(^|[\s,])trailers\b/i.test(value)) teTrailers = true;
      continue;
    }
    if (named?.has(lower)) continue;
    if (lower === 'expect') {
      expect = value; // answered here, see h1.ts
      continue;
    }
    if (lower === OWN_FIELDS.verification) {
      verification = value.trim();
      continue;
    }
    if (lower === OWN_FIELDS.certificate) {
      certificate = value.trim();
      continue;
    }
    if (lower === 'host') {
      // RFC 9112 §3.2: two readers could go by either.
      if (host !== undefined) throw new MtlsdError('BAD_REQUEST', 'a request with two Host fields is refused');
      host = value;
    } else if (lower === 'via') via = via === undefined ? value : `${via}, ${value}`;
    else if (lower === 'trailer') trailer = true;
    kept.push(name, value);
  }
  return { fields: kept, verification, certificate, host, via, expect, upgrade, teTrailers, trailer };
}

/** The same for a response; changes the list in place, which is the receiver's own. */
export function forwardResponseFields(fields: string[]): string[] {
  const named = connectionNamed(fields);
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const lower = (fields[i] as string).toLowerCase();
    if (HOP_BY_HOP.has(lower) || named?.has(lower)) continue;
    fields[kept] = fields[i] as string;
    fields[kept + 1] = fields[i + 1] as string;
    kept += 2;
  }
  fields.length = kept;
  return fields;
}

/** RFC 9110 §7.6.1: a sender must not name an end-to-end field that everybody needs; attacks do. */
const NEVER_HOP_BY_HOP = [
  'host',
  'content-length',
  'content-type',
  'authorization',
  'cookie',
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
