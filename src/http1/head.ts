/**
 * A start line with its fields, or trailers, by their grammar; framing.ts reads what the fields say. Each byte is read once,
 * and a bad one is refused at once: nothing depends on how the bytes were split, and the cost is linear.
 */
import { byteName, Http1Error, malformed } from './errors.ts';
import { COLON, CR, DIGIT, isSpace, LF, NONE, SP, skip, TARGET, TOKEN, table, VALUE } from './grammar.ts';
import type { Input } from './input.ts';
import { EMPTY_LINES } from './limits.ts';

export type Version = '1.0' | '1.1';

/** What is expected: a run of bytes, then a delimiter; where there are `places`, one byte for each of them. */
interface State {
  /** What an error calls it. */
  readonly name: string;
  readonly run: Uint8Array;
  readonly delimiter: number;
  readonly mayBeEmpty: boolean;
  /** What follows a CR in place of the run. */
  readonly afterCr: State | null;
  readonly places: readonly Uint8Array[] | null;
  /** What follows; null: nothing, that was the end. */
  next: State | null;
}

function expected(name: string, run: Uint8Array, delimiter: number, next: State | null, more?: Partial<State>): State {
  return { name, run, delimiter, mayBeEmpty: true, afterCr: null, places: null, next, ...more };
}

// RFC 9112 §2.3: the version is case-sensitive, with one digit each. §4: three digits; RFC 9110 §15: the first is a class, from
// 1 on. §4 wants a space also where there is no reason phrase; some servers leave it out.
const VERSION_PLACES = [/H/, /T/, /T/, /P/, /\//, /1/, /\./, /[01]/].map(table);
const STATUS_PLACES = [...VERSION_PLACES, table(/ /), table(/[1-9]/), DIGIT, DIGIT, table(/[ \r]/)];

// RFC 9112 §2.2: only CR LF ends a line.
const LAST_LF = expected('the end of the fields', NONE, LF, null);
const LINE_LF = expected('the end of a line', NONE, LF, null);
const FIELD_VALUE = expected('the value of a field (RFC 9110 §5.5)', VALUE, CR, LINE_LF);
// RFC 9112 §5.1: the colon follows the name at once. §5.2 and §2.2: no line begins with whitespace.
const NAME = expected('the name of a field (RFC 9112 §5.1)', TOKEN, COLON, FIELD_VALUE, {
  mayBeEmpty: false,
  afterCr: LAST_LF,
});
LINE_LF.next = NAME;
const REASON = expected('a reason phrase (RFC 9112 §4)', VALUE, CR, LINE_LF);
const STATUS = expected('a status line (RFC 9112 §4)', NONE, SP, REASON, { places: STATUS_PLACES });
const REQUEST_CR = expected('a request line (RFC 9112 §3)', NONE, CR, LINE_LF);
const VERSION = expected('the version of a request (RFC 9112 §3)', NONE, SP, REQUEST_CR, { places: VERSION_PLACES });
// RFC 9112 §3: single spaces.
const REQUEST_TARGET = expected('a request target (RFC 9112 §3.2)', TARGET, SP, VERSION, { mayBeEmpty: false });
const EMPTY_LF = expected('an empty line', NONE, LF, null);
// RFC 9112 §2.2: empty lines before a request line are ignored.
const METHOD = expected('a method (RFC 9112 §3.1)', TOKEN, SP, REQUEST_TARGET, {
  mayBeEmpty: false,
  afterCr: EMPTY_LF,
});
EMPTY_LF.next = METHOD;

const FIRST = { request: METHOD, response: STATUS, trailers: NAME };

export class Head {
  readonly #limit: number;
  #kind: keyof typeof FIRST = 'trailers';
  #state: State | null = null;
  #length = 0;
  #emptyLines = 0;
  #text = '';
  #runStart = 0;
  /** The place of each delimiter. */
  #delimiters: number[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  begin(kind: keyof typeof FIRST): void {
    this.#kind = kind;
    this.#state = FIRST[kind];
    this.#length = 0;
    this.#emptyLines = 0;
    this.#text = '';
    this.#runStart = 0;
    this.#delimiters = [];
  }

  /** Whether a byte of it was read. Empty lines before a request are not part of it. */
  get begun(): boolean {
    return this.#length !== 2 * this.#emptyLines;
  }

  /** Reads on; true at the end, false where more bytes are needed. Throws Http1Error. */
  read(input: Input): boolean {
    while (!input.empty) {
      const { bytes, at: from } = input;
      const at = this.#scan(bytes, from, Math.min(bytes.length, from + this.#limit - this.#length));
      this.#length += at - from;
      this.#text += bytes.toString('latin1', from, at);
      input.moveTo(at);
      if (this.#state === null) return true;
      if (at < bytes.length) {
        const what = this.#kind === 'trailers' ? 'trailers' : 'a head';
        throw new Http1Error('HEAD_TOO_LARGE', `${what} of more than ${this.#limit} bytes (RFC 9110 §5.4)`);
      }
    }
    return false;
  }

  requestLine(): { method: string; target: string; version: Version } {
    const start = 2 * this.#emptyLines;
    const [methodEnd, targetEnd, lineEnd] = this.#delimiters.slice(start, start + 3) as [number, number, number];
    const method = this.#text.slice(start, methodEnd);
    return { method, target: this.#text.slice(methodEnd + 1, targetEnd), version: this.#versionBefore(lineEnd) };
  }

  statusLine(): { status: number; reason: string; version: Version } {
    const status = Number(this.#text.slice(9, 12));
    return { status, reason: this.#text.slice(13, this.#delimiters[0]), version: this.#versionBefore(8) };
  }

  /** Names and values in turn; the values without the whitespace around them (RFC 9112 §5.1). */
  fields(): string[] {
    const text = this.#text;
    const delimiters = this.#delimiters;
    const fields: string[] = [];
    // The delimiters of a request line are two spaces, CR, LF; of a status line CR, LF; of a field colon, CR, LF.
    let i = { request: 2 * this.#emptyLines + 4, response: 2, trailers: 0 }[this.#kind];
    for (; i + 2 < delimiters.length; i += 3) {
      const nameStart = i === 0 ? 0 : (delimiters[i - 1] as number) + 1;
      const colon = delimiters[i] as number;
      let start = colon + 1;
      let end = delimiters[i + 1] as number;
      while (start < end && isSpace(text.charCodeAt(start))) start++;
      while (start < end && isSpace(text.charCodeAt(end - 1))) end--;
      fields.push(text.slice(nameStart, colon), text.slice(start, end));
    }
    return fields;
  }

  #versionBefore(end: number): Version {
    return this.#text[end - 1] === '0' ? '1.0' : '1.1';
  }

  /** Looks at the bytes from `at` up to `end`; returns where it stopped, which is `end` or the end of the head. */
  #scan(bytes: Uint8Array, at: number, end: number): number {
    /** What is added to a place in `bytes` for the place in the head. */
    const base = this.#length - at;
    const delimiters = this.#delimiters;
    let state = this.#state;
    let runStart = this.#runStart;
    while (at < end && state !== null) {
      if (state.places !== null) {
        const byte = bytes[at] as number;
        const place = base + at - runStart;
        if (state.places[place]?.[byte] !== 1) throw refused(state, byte, place);
        const last = place === state.places.length - 1;
        // A CR in place of the space before a reason phrase ends the line.
        if (!last || byte !== CR) at++;
        if (!last) continue;
        state = state.next;
      } else {
        at = skip(state.run, bytes, at, end);
        if (at === end) break;
        const byte = bytes[at] as number;
        const empty = base + at === runStart;
        if (byte === state.delimiter && (state.mayBeEmpty || !empty)) state = state.next;
        else if (byte === CR && empty && state.afterCr !== null) {
          if (state === METHOD && ++this.#emptyLines > EMPTY_LINES) throw refused(state, byte);
          state = state.afterCr;
        } else throw refused(state, byte);
        delimiters.push(base + at++);
      }
      runStart = base + at;
    }
    this.#state = state;
    this.#runStart = runStart;
    return at;
  }
}

function refused(state: State, byte: number, place?: number): Http1Error {
  if ((place === 5 || place === 7) && DIGIT[byte] === 1) {
    return new Http1Error('UNSUPPORTED_VERSION', 'a version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §2.5)');
  }
  const where = state.name.replace(/ \(.*/, '');
  if (state.run === NONE && state.delimiter === LF) return malformed(`a bare CR at ${where} (RFC 9112 §2.2)`);
  if (byte === LF) return malformed(`a bare LF in ${where} (RFC 9112 §2.2)`);
  if (state !== NAME || !isSpace(byte)) return malformed(`${byteName(byte)} in ${state.name}`);
  return malformed('whitespace before the colon, or a folded line (RFC 9112 §5.1, §5.2)');
}
