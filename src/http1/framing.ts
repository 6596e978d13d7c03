/** How long a body is (RFC 9112 §6.3), and whether the connection continues after it (§9.3). */
import { malformed, quoted } from './errors.ts';
import type { Version } from './head.ts';

export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  /** Up to the end of the connection; responses only. */
  | { readonly kind: 'close' };

export interface Framed {
  readonly framing: Framing;
  /**
   * What version and Connection options say. RFC 9112 §9.3: a proxy does not keep an HTTP/1.0 client alive that took it for one;
   * that is for the caller to know.
   */
  readonly keepAlive: boolean;
}

const NONE: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const CLOSE: Framing = { kind: 'close' };

/** RFC 9110 §7.6.1: one of a list of case-insensitive options. */
const CLOSE_OPTION = /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i;
const KEEP_ALIVE_OPTION = /(?:^|,)[ \t]*keep-alive[ \t]*(?:,|$)/i;

/** Throws Http1Error where the fields contradict each other or say what strict parsers refuse. */
export function frameRequest(version: Version, fields: readonly string[]): Framed {
  const { framing, keepAlive } = declared(version, fields);
  // RFC 9112 §6.3 (7): a request that declares no body has none.
  return { framing: framing ?? NONE, keepAlive };
}

/** `method` is that of the request. Throws Http1Error, for responses that have no body as well. */
export function frameResponse(version: Version, fields: readonly string[], status: number, method: string): Framed {
  const { framing, keepAlive } = declared(version, fields);
  if (hasNoBody(status, method)) {
    // RFC 9110 §8.6 forbids a length in 1xx and 204, and §15.4.5 in 304 unless it is that of the same representation. Bytes of a body that
    // is sent all the same would read as the next response.
    const declaresBody = framing !== null && framing !== NONE && (status === 204 || status === 304);
    return { framing: NONE, keepAlive: keepAlive && !declaresBody };
  }
  // RFC 9112 §6.3 (8): all there is until the connection closes.
  return framing ? { framing, keepAlive } : { framing: CLOSE, keepAlive: false };
}

/** RFC 9112 §6.3 (1) and (2). */
function hasNoBody(status: number, method: string): boolean {
  return method === 'HEAD' || status < 200 || status === 204 || status === 304 || switchesProtocol(status, method);
}

/** Whether what follows the head is no HTTP: 101, and 2xx to CONNECT (RFC 9110 §15.2.2, §9.3.6). */
export function switchesProtocol(status: number, method: string): boolean {
  return status === 101 || (method === 'CONNECT' && status >= 200 && status < 300);
}

function declared(version: Version, fields: readonly string[]): { framing: Framing | null; keepAlive: boolean } {
  let length: string | null = null;
  let coding: string | null = null;
  let close = false;
  let keepAlive = version === '1.1';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    switch (name.length) {
      case 10:
        if (name.toLowerCase() !== 'connection') break;
        // RFC 9112 §9.3: close wins; keep-alive counts in HTTP/1.0.
        if (CLOSE_OPTION.test(value)) close = true;
        else if (KEEP_ALIVE_OPTION.test(value)) keepAlive = true;
        break;
      case 14:
        if (name.toLowerCase() !== 'content-length') break;
        // RFC 9112 §6.3 (5) lets a recipient take equal values for one; senders of two are broken or attack.
        if (length !== null) throw malformed('more than one Content-Length (RFC 9112 §6.3)');
        length = value;
        break;
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break;
        if (coding !== null) throw malformed('more than one Transfer-Encoding (RFC 9112 §6.1)');
        coding = value;
        break;
    }
  }
  return { framing: bodyOf(version, length, coding), keepAlive: keepAlive && !close };
}

function bodyOf(version: Version, length: string | null, coding: string | null): Framing | null {
  if (coding !== null) {
    // RFC 9112 §6.3 (3): it ought to be handled as an error, since it is how requests are smuggled.
    if (length !== null) throw malformed('Transfer-Encoding with Content-Length (RFC 9112 §6.3)');
    // RFC 9112 §6.1: no HTTP/1.0 recipient knows it, so the framing is faulty.
    if (version === '1.0') throw malformed('Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)');
    // RFC 9112 §6.1: a recipient need not know other codings; chunked is applied once, and last.
    if (coding.toLowerCase() !== 'chunked') throw malformed(`the transfer coding ${quoted(coding)} (RFC 9112 §6.1)`);
    return CHUNKED;
  }
  if (length === null) return null;
  // RFC 9110 §8.6: 1*DIGIT, and a recipient must not lose digits.
  if (!/^\d+$/.test(length) || Number(length) > Number.MAX_SAFE_INTEGER) {
    throw malformed(`the Content-Length ${quoted(length)} (RFC 9110 §8.6)`);
  }
  // No reader waits for an empty body.
  return Number(length) === 0 ? NONE : { kind: 'length', length: Number(length) };
}
