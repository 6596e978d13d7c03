/**
 * HTTP/1.1 messages as latin1 strings: one char is one byte. What a peer could take for the end of a line is never written, and
 * no char above 0xff, since writing one as latin1 drops its upper bits: U+010A would become LF.
 */

/** RFC 9110 §5.6.2: a method or the name of a field. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** RFC 9110 §5.5. May be empty. Whitespace around a value is allowed here; a reader takes it away. */
export function isFieldValue(text: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(text);
}

/** RFC 9112 §3.2, and bytes from 0x80 on. */
export function isRequestTarget(text: string): boolean {
  return /^[\x21-\x7e\x80-\xff]+$/.test(text);
}

/** RFC 9112 §4. May be empty. */
export function isReason(text: string): boolean {
  return isFieldValue(text);
}

/** Up to and with the empty line. Throws TypeError for what must not be written. */
export function requestHead(method: string, target: string, fields: readonly string[]): string {
  if (!isToken(method)) throw new TypeError('invalid method (RFC 9110 §9.1)');
  if (!isRequestTarget(target)) throw new TypeError('invalid request target (RFC 9112 §3.2)');
  return `${method} ${target} HTTP/1.1\r\n${fieldLines(fields)}\r\n`;
}

/** Up to and with the empty line; `status` is 100 to 999. Throws TypeError for what must not be written. */
export function responseHead(status: number, reason: string, fields: readonly string[]): string {
  if (!Number.isInteger(status) || status < 100 || status > 999) throw new TypeError('invalid status (RFC 9112 §4)');
  if (!isReason(reason)) throw new TypeError('invalid reason phrase (RFC 9112 §4)');
  return `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}\r\n`;
}

/** The line before `length` bytes of data; CR LF follows them. Throws TypeError for 0, which would end the body. */
export function chunkHead(length: number): string {
  if (!Number.isSafeInteger(length) || length < 1) throw new TypeError('invalid chunk size (RFC 9112 §7.1)');
  return `${length.toString(16)}\r\n`;
}

/** The end of a chunked body. Throws TypeError for trailers that must not be written. */
export function lastChunk(trailers: readonly string[]): string {
  return `0\r\n${fieldLines(trailers)}\r\n`;
}

function fieldLines(fields: readonly string[]): string {
  let lines = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1];
    if (!isToken(name)) throw new TypeError('invalid name of a field (RFC 9110 §5.1)');
    if (value === undefined || !isFieldValue(value)) throw new TypeError('invalid value of a field (RFC 9110 §5.5)');
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
