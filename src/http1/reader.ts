/**
 * Requests or responses of one connection, one after another: bytes in, events out. The state says what comes next:
 *
 *   start -> fields -> (length | chunk-size <-> chunk-data -> chunk-end | close) -> (trailers) -> end -> start
 */
import { Http1Error, malformed, quoted } from './errors.ts';
import { type Framing, NO_BODY, requestFraming, responseFraming } from './framing.ts';
import { CONTROL, TARGET, TOKEN, VALUE } from './grammar.ts';
import { Fields, LineReader } from './head.ts';
import { CHUNK_EXTENSION_BYTES, EMPTY_LINES, type Limits, MESSAGE_EXTENSION_BYTES } from './limits.ts';

export type Version = '1.0' | '1.1';

interface Head {
  readonly version: Version;
  /** Flat `[name, value, …]`, as received. */
  readonly fields: string[];
  readonly framing: Framing;
  readonly keepAlive: boolean;
}

export interface RequestHead extends Head {
  readonly method: string;
  readonly target: string;
}

export interface ResponseHead extends Head {
  readonly status: number;
  readonly reason: string;
}

export type Event<H> =
  | { readonly kind: 'head'; readonly head: H }
  /** A part of what was fed, not a copy. */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly trailers: string[] };

type State = 'start' | 'fields' | 'length' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailers' | 'close' | 'end';

const NOTHING = Buffer.alloc(0);

/** What requests and responses share; a subclass knows start lines. */
abstract class MessageReader<S extends { readonly version: Version }, H extends Head> {
  #state: State = 'start';
  #bytes: Buffer = NOTHING;
  #at = 0;
  readonly #lines: LineReader;
  /** Lines around chunks have a bound of their own. */
  readonly #chunkLines = new LineReader(CHUNK_EXTENSION_BYTES);
  #start: S | null = null;
  #fields = new Fields();
  #left = 0;
  #extensionBytes = 0;
  #error: Http1Error | null = null;
  #ended = false;

  constructor({ headBytes }: Limits) {
    this.#lines = new LineReader(headBytes);
  }

  /** null for a line that is none, such as an empty one before a request. @throws Http1Error */
  protected abstract readStart(line: string): S | null;
  /** @throws Http1Error */
  protected abstract headOf(start: S, fields: Fields): H;
  /** Whether a message may come now. */
  protected abstract readonly awaited: boolean;
  /** Whether a message ends with its head, and how: an interim response is followed by another head. */
  protected abstract afterHead(head: H): 'body' | 'start';

  /** Between messages, with nothing of a next one received. */
  get idle(): boolean {
    return this.#state === 'start' && !this.#lines.begun && this.#at === this.#bytes.length;
  }

  /** Bytes as they came from a socket. */
  feed(bytes: Buffer): void {
    this.#bytes = this.#at === this.#bytes.length ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /**
   * The next event; null where more bytes are needed.
   * @throws Http1Error; the same again after that
   */
  next(): Event<H> | null {
    if (this.#error) throw this.#error;
    try {
      return this.#read();
    } catch (error) {
      if (error instanceof Http1Error) this.#error = error;
      throw error;
    }
  }

  /**
   * The peer ended its side.
   * @throws Http1Error TRUNCATED where a message is incomplete
   */
  finish(): void {
    this.#ended = true;
    if (this.idle || this.#state === 'close' || this.#state === 'end') return;
    this.#error ??= new Http1Error('TRUNCATED', 'the message ended half-way (RFC 9112 §8)');
    throw this.#error;
  }

  /** What is left unread; the reader is empty then. */
  takeRest(): Buffer {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = NOTHING;
    this.#at = 0;
    return rest;
  }

  #read(): Event<H> | null {
    for (;;) {
      switch (this.#state) {
        case 'start': {
          if (!this.awaited) return null;
          const line = this.#line(this.#lines);
          if (line === null) return null;
          this.#start = this.readStart(line);
          if (this.#start === null) break;
          this.#fields = new Fields();
          this.#state = 'fields';
          break;
        }
        case 'fields': {
          const line = this.#line(this.#lines);
          if (line === null) return null;
          if (line !== '') this.#fields.add(line);
          else return { kind: 'head', head: this.#onHead() };
          break;
        }
        case 'length': {
          const bytes = this.#take(this.#left);
          if (!bytes) return null;
          this.#left -= bytes.length;
          if (this.#left === 0) this.#state = 'end';
          return { kind: 'data', bytes };
        }
        case 'close': {
          const bytes = this.#take(Infinity);
          if (bytes) return { kind: 'data', bytes };
          if (!this.#ended) return null;
          this.#state = 'end';
          break;
        }
        case 'chunk-size': {
          const line = this.#line(this.#chunkLines);
          if (line === null) return null;
          this.#left = this.#chunkSize(line);
          this.#state = this.#left === 0 ? 'trailers' : 'chunk-data';
          if (this.#left > 0) break;
          this.#lines.begin();
          this.#fields = new Fields();
          break;
        }
        case 'chunk-data': {
          const bytes = this.#take(this.#left);
          if (!bytes) return null;
          this.#left -= bytes.length;
          if (this.#left === 0) this.#state = 'chunk-end';
          return { kind: 'data', bytes };
        }
        case 'chunk-end': {
          if (this.#at === this.#bytes.length) return null;
          // Exactly CRLF, and at once: a longer chunk than its size says is another message to another reader.
          const byte = this.#bytes[this.#at] as number;
          if (byte !== (this.#left === 0 ? 0x0d : 0x0a))
            throw malformed('chunk data longer than its size (RFC 9112 §7.1)');
          this.#at += 1;
          this.#left += 1;
          if (this.#left < 2) break;
          this.#chunkLines.begin();
          this.#state = 'chunk-size';
          break;
        }
        case 'trailers': {
          const line = this.#line(this.#lines);
          if (line === null) return null;
          if (line !== '') this.#fields.add(line);
          else return this.#end(this.#fields.list);
          break;
        }
        case 'end':
          return this.#end([]);
      }
    }
  }

  #onHead(): H {
    const head = this.headOf(this.#start as S, this.#fields);
    this.#lines.begin();
    if (this.afterHead(head) === 'start') {
      this.#state = 'start';
      return head;
    }
    const { framing } = head;
    this.#left = framing.kind === 'length' ? framing.length : 0;
    this.#extensionBytes = 0;
    this.#chunkLines.begin();
    this.#state = framing.kind === 'none' ? 'end' : framing.kind === 'chunked' ? 'chunk-size' : framing.kind;
    return head;
  }

  #end(trailers: string[]): Event<H> {
    this.#state = 'start';
    this.#lines.begin();
    return { kind: 'end', trailers };
  }

  #line(lines: LineReader): string | null {
    if (this.#at === this.#bytes.length) return null;
    const found = lines.next(this.#bytes, this.#at);
    this.#at = found ? found.end : this.#bytes.length;
    return found && found.line;
  }

  #take(most: number): Buffer | null {
    const left = this.#bytes.length - this.#at;
    if (left === 0) return null;
    const from = this.#at;
    this.#at += Math.min(left, most);
    return from === 0 && left <= most ? this.#bytes : this.#bytes.subarray(from, this.#at);
  }

  /** RFC 9112 §7.1; no whitespace, which §7.1.1 has for historical reasons only and parsers disagree about. */
  #chunkSize(line: string): number {
    const match = /^([0-9A-Fa-f]{1,13})(;.*)?$/.exec(line);
    if (!match) throw malformed(`a chunk size ${quoted(line)} (RFC 9112 §7.1)`);
    if (CONTROL.test(line)) throw malformed('a control character in a chunk extension (RFC 9112 §7.1.1)');
    this.#extensionBytes += match[2]?.length ?? 0;
    if (this.#extensionBytes > MESSAGE_EXTENSION_BYTES)
      throw malformed(`more than ${MESSAGE_EXTENSION_BYTES} bytes of chunk extensions (RFC 9112 §7.1.1)`);
    return Number.parseInt(match[1] as string, 16);
  }
}

interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly version: Version;
}

export class RequestReader extends MessageReader<RequestLine, RequestHead> {
  protected readonly awaited = true;
  #emptyLines = 0;

  /** RFC 9112 §3: single spaces; parsing by any whitespace is a choice that a strict recipient does not make. */
  protected readStart(line: string): RequestLine | null {
    if (line === '' && this.#emptyLines < EMPTY_LINES) {
      this.#emptyLines += 1;
      return null;
    }
    this.#emptyLines = 0;
    const first = line.indexOf(' ');
    const last = line.lastIndexOf(' ');
    const method = line.slice(0, first);
    const target = line.slice(first + 1, last);
    if (first < 1 || last <= first || !TOKEN.test(method) || !TARGET.test(target))
      throw malformed(`a request line ${quoted(line)} (RFC 9112 §3)`);
    return { method, target, version: versionOf(line.slice(last + 1)) };
  }

  protected headOf({ method, target, version }: RequestLine, fields: Fields): RequestHead {
    const framing = requestFraming(fields.framing(version));
    return { method, target, version, fields: fields.list, framing, keepAlive: fields.keepAlive(version) };
  }

  protected afterHead(): 'body' {
    return 'body';
  }
}

interface StatusLine {
  readonly status: number;
  readonly reason: string;
  readonly version: Version;
}

export class ResponseReader extends MessageReader<StatusLine, ResponseHead> {
  /** Methods of the requests whose responses are to come. */
  readonly #methods: string[] = [];

  /** Whose response comes next. */
  expect(method: string): void {
    this.#methods.push(method);
  }

  protected get awaited(): boolean {
    return this.#methods.length > 0;
  }

  /** RFC 9112 §4; some servers leave out the space where there is no reason. */
  protected readStart(line: string): StatusLine {
    const match = /^(HTTP\/\d\.\d) ([1-9]\d\d)(?: (.*))?$/.exec(line);
    const reason = match?.[3] ?? '';
    if (!match || !VALUE.test(reason)) throw malformed(`a status line ${quoted(line)} (RFC 9112 §4)`);
    return { status: Number(match[2]), reason, version: versionOf(match[1] as string) };
  }

  protected headOf({ status, reason, version }: StatusLine, fields: Fields): ResponseHead {
    const method = this.#methods[0] as string;
    const framing = status < 200 ? NO_BODY : responseFraming(fields.framing(version), status, method);
    const keepAlive = framing.kind !== 'close' && fields.keepAlive(version);
    return { status, reason, version, fields: fields.list, framing, keepAlive };
  }

  /** RFC 9110 §15.2: an interim response is followed by another, but 101 ends HTTP on the connection. */
  protected afterHead({ status }: ResponseHead): 'body' | 'start' {
    if (status < 200 && status !== 101) return 'start';
    this.#methods.shift();
    return 'body';
  }
}

/** @throws Http1Error */
function versionOf(text: string): Version {
  if (text === 'HTTP/1.1') return '1.1';
  if (text === 'HTTP/1.0') return '1.0';
  if (/^HTTP\/\d\.\d$/.test(text))
    throw new Http1Error('UNSUPPORTED_VERSION', 'a version other than HTTP/1.0 and HTTP/1.1 (RFC 9110 §2.5)');
  throw malformed(`a version ${quoted(text)} (RFC 9112 §2.3)`);
}
