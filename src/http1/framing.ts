/** How long a message body is (RFC 9112 §6.3), decided strictly: what two readers could understand in two ways is refused. */
import { malformed, quoted } from './errors.ts';

export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  /** Until the connection ends; responses only. */
  | { readonly kind: 'close' };

export const NO_BODY: Framing = { kind: 'none' };
const CHUNKED: Framing = { kind: 'chunked' };
const UNTIL_CLOSE: Framing = { kind: 'close' };

/** The fields that decide it, as far as there are any. */
export interface FramingFields {
  readonly contentLength: string | null;
  readonly transferEncoding: string | null;
  readonly version: '1.0' | '1.1';
}

/** @throws Http1Error */
export function requestFraming(fields: FramingFields): Framing {
  return declared(fields) ?? NO_BODY;
}

/**
 * @param method of the request
 * @throws Http1Error
 */
export function responseFraming(fields: FramingFields, status: number, method: string): Framing {
  // §6.3, 1 and 2: whatever the fields say.
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NO_BODY;
  if (method === 'CONNECT' && status < 300) return NO_BODY;
  return declared(fields) ?? UNTIL_CLOSE;
}

function declared({ contentLength, transferEncoding, version }: FramingFields): Framing | null {
  if (transferEncoding !== null) {
    if (contentLength !== null) throw malformed('Content-Length beside Transfer-Encoding (RFC 9112 §6.3)');
    if (version === '1.0') throw malformed('Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1)');
    if (transferEncoding.toLowerCase() !== 'chunked')
      throw malformed(`Transfer-Encoding ${quoted(transferEncoding)}, where only chunked is known (RFC 9112 §6.1)`);
    return CHUNKED;
  }
  if (contentLength === null) return null;
  const length = Number(contentLength);
  // A length that a number can't hold would be rounded, and then two readers would disagree about where the body ends.
  if (!/^\d{1,16}$/.test(contentLength) || !Number.isSafeInteger(length))
    throw malformed(`Content-Length ${quoted(contentLength)} (RFC 9112 §6.2)`);
  return length === 0 ? NO_BODY : { kind: 'length', length };
}
