/**
 * Heads and chunks as latin1 text, one character for each byte. What must never be written is refused here, where nothing can
 * be forgotten: a character above 0xff would be cut to another byte, perhaps to a line end.
 */
import { malformed, quoted } from './errors.ts';
import { isFieldValue, isReason, isRequestTarget, isToken } from './grammar.ts';

export { isFieldValue, isReason, isRequestTarget, isToken } from './grammar.ts';

/** @throws Http1Error */
export function requestHead(method: string, target: string, fields: readonly string[]): string {
  if (!isToken(method)) throw malformed(`a method ${quoted(method)} (RFC 9110 §9.1)`);
  if (!isRequestTarget(target)) throw malformed(`a request target ${quoted(target)} (RFC 9112 §3.2)`);
  return `${method} ${target} HTTP/1.1\r\n${lines(fields)}\r\n`;
}

/** @throws Http1Error */
export function responseHead(status: number, reason: string, fields: readonly string[]): string {
  if (!Number.isInteger(status) || status < 100 || status > 999) throw malformed(`a status ${status} (RFC 9110 §15)`);
  return `HTTP/1.1 ${status} ${isReason(reason) ? reason : ''}\r\n${lines(fields)}\r\n`;
}

export const chunkHead = (length: number): string => `${length.toString(16)}\r\n`;

/** @throws Http1Error */
export const lastChunk = (trailers: readonly string[]): string => `0\r\n${lines(trailers)}\r\n`;

function lines(fields: readonly string[]): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (!isToken(name) || !isFieldValue(value)) throw malformed(`a field ${quoted(name)} (RFC 9110 §5)`);
    text += `${name}: ${value}\r\n`;
  }
  return text;
}
