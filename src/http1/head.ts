/**
 * The lines of a start line with its fields, or of trailers. A line is looked at once it is whole; of a line that is not, only
 * what came new, so that a bad byte is refused as soon as it is there and one byte at a time costs no more than all at once.
 */
import { Http1Error, malformed, quoted } from './errors.ts';
import type { FramingFields } from './framing.ts';
import { CONTROL, TOKEN, VALUE } from './grammar.ts';

const LF = 0x0a;
const CR = 0x0d;

export class LineReader {
  readonly #limit: number;
  #size = 0;
  #partial = '';

  /** @param limit of all lines together, in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  begin(): void {
    this.#size = 0;
    this.#partial = '';
  }

  get begun(): boolean {
    return this.#size > 0;
  }

  /**
   * The next line without its end, and the place after it; null where more bytes are needed (all of `bytes` is read then).
   * @throws Http1Error
   */
  next(bytes: Buffer, at: number): { line: string; end: number } | null {
    const lf = bytes.indexOf(LF, at);
    const end = lf === -1 ? bytes.length : lf + 1;
    this.#size += end - at;
    if (this.#size > this.#limit) throw new Http1Error('HEAD_TOO_LARGE', `more than ${this.#limit} bytes of fields`);
    if (lf === -1) {
      const piece = bytes.toString('latin1', at, end);
      // A CR at the very end may be half of a line end; any other control character can only be wrong.
      if (
        CONTROL.test(piece.endsWith('\r') ? piece.slice(0, -1) : piece) ||
        (piece !== '' && this.#partial.endsWith('\r'))
      )
        throw refused(piece);
      this.#partial += piece;
      return null;
    }
    const last = lf - 1;
    let line: string;
    if (last >= at) {
      if (bytes[last] !== CR) throw malformed('a bare LF (RFC 9112 §2.2)');
      line = this.#partial + bytes.toString('latin1', at, last);
    } else {
      if (!this.#partial.endsWith('\r')) throw malformed('a bare LF (RFC 9112 §2.2)');
      line = this.#partial.slice(0, -1);
    }
    this.#partial = '';
    return { line, end };
  }
}

/** The fields of a message, and what of them decides how it is read. */
export class Fields {
  list: string[] = [];
  contentLength: string | null = null;
  transferEncoding: string | null = null;
  #options = '';

  /** @throws Http1Error */
  add(line: string): void {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    if (colon < 1 || !TOKEN.test(name)) throw refusedLine(line);
    const value = trim(line, colon + 1);
    if (!VALUE.test(value)) throw refused(value);
    this.list.push(name, value);
    if (name.length === 14 || name.length === 17 || name.length === 10) this.#note(name.toLowerCase(), value);
  }

  framing(version: '1.0' | '1.1'): FramingFields {
    return { contentLength: this.contentLength, transferEncoding: this.transferEncoding, version };
  }

  /** RFC 9112 §9.3. */
  keepAlive(version: '1.0' | '1.1'): boolean {
    if (this.#options === '') return version === '1.1';
    if (/(?:^|,)[\t ]*close[\t ]*(?:,|$)/.test(this.#options)) return false;
    return version === '1.1' || /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/.test(this.#options);
  }

  #note(name: string, value: string): void {
    if (name === 'content-length') {
      if (this.contentLength !== null) throw malformed('several Content-Length fields (RFC 9112 §6.3)');
      this.contentLength = value;
    } else if (name === 'transfer-encoding') {
      if (this.transferEncoding !== null) throw malformed('several Transfer-Encoding fields (RFC 9112 §6.1)');
      this.transferEncoding = value;
    } else if (name === 'connection') this.#options += `${this.#options && ','}${value.toLowerCase()}`;
  }
}

/** Without whitespace around it (RFC 9112 §5.1). */
function trim(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isSpace(line.charCodeAt(start))) start += 1;
  while (start < end && isSpace(line.charCodeAt(end - 1))) end -= 1;
  return line.slice(start, end);
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09;

function refusedLine(line: string): Http1Error {
  if (isSpace(line.charCodeAt(0))) return malformed('a folded field line (RFC 9112 §5.2)');
  if (/^[^\s:]+[\t ]+:/.test(line)) return malformed('whitespace before the colon of a field (RFC 9112 §5.1)');
  return malformed(`a field line without a valid name: ${quoted(line)} (RFC 9112 §5)`);
}

function refused(text: string): Http1Error {
  if (text.includes('\r')) return malformed('a bare CR (RFC 9112 §2.2)');
  return malformed(`a control character in ${quoted(text)} (RFC 9110 §5.5)`);
}
