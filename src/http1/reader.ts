/**
 * HTTP/1.1 messages (RFC 9112) from the bytes of a connection, one after another. No sockets: bytes are fed, events are taken.
 * What two parsers may read differently is refused, in requests and responses: this prevents smuggling.
 */
import { ChunkedBody } from './chunked.ts';
import { Http1Error } from './errors.ts';
import { type Framed, type Framing, frameRequest, frameResponse, switchesProtocol } from './framing.ts';
import { Head, type Version } from './head.ts';
import { Input } from './input.ts';
import type { Limits } from './limits.ts';

/** `fields` is a flat list [name, value, …] of latin1 strings; order, case and duplicates are kept. */
interface MessageHead extends Framed {
  readonly version: Version;
  readonly fields: string[];
}

export interface RequestHead extends MessageHead {
  readonly method: string;
  readonly target: string;
}

/** `status` is 100 to 999; `reason` may be empty. */
export interface ResponseHead extends MessageHead {
  readonly status: number;
  readonly reason: string;
}

/** `bytes` is a part of what was fed, not a copy, and never empty. `trailers` is a flat list like `fields`. */
export type Event<H> =
  | { kind: 'head'; head: H }
  | { kind: 'data'; bytes: Buffer }
  | { kind: 'end'; trailers: string[] };

/** What is read next: a head between messages or after a 1xx; a body of some framing; nothing but the end of the message. */
type State = 'between' | 'interim' | Exclude<Framing['kind'], 'none'> | 'end' | 'last end' | 'switched';

abstract class MessageReader<H extends MessageHead> {
  /** Those of the requests whose responses come next. */
  protected readonly methods: string[] = [];
  readonly #kind: 'request' | 'response';
  readonly #head: Head;
  readonly #chunked: ChunkedBody;
  #input = new Input();
  #state: State = 'between';
  /** What is left of a body with a length, or up to the end of the connection. */
  #left = 0;
  #peerEnded = false;
  #error: unknown = null;

  constructor(kind: 'request' | 'response', limits: Limits) {
    this.#kind = kind;
    this.#head = new Head(limits.headBytes);
    this.#head.begin(kind);
    this.#chunked = new ChunkedBody(this.#head);
  }

  protected abstract build(head: Head): H;
  /** What follows a head, if not its body. */
  protected abstract after(head: H): 'interim' | 'last end' | null;

  /** Takes bytes as they came from a socket. They are not copied. */
  feed(bytes: Buffer): void {
    if (this.#error === null) this.#input.push(bytes);
  }

  /** The next event; null: more bytes are needed. Throws Http1Error; after that, every call throws the same. */
  next(): Event<H> | null {
    if (this.#error !== null) throw this.#error;
    try {
      return this.#read() ?? this.#checkEnd();
    } catch (error) {
      throw this.#broken(error);
    }
  }

  /**
   * The peer ended its side. Throws Http1Error TRUNCATED if a message is incomplete; if bytes wait to be read, next() throws it
   * after them. A body that is delimited by the end of the connection ends: next() gives its `end`.
   */
  finish(): void {
    this.#peerEnded = true;
    if (this.#error !== null) throw this.#error;
    try {
      if (this.#input.empty) this.#checkEnd();
    } catch (error) {
      throw this.#broken(error);
    }
  }

  /** Between messages, and nothing of a next one was received. Empty lines are nothing. */
  get idle(): boolean {
    return this.#error === null && this.#state === 'between' && !this.#head.begun && this.#input.empty;
  }

  /** Takes the bytes that were not read, for example those after a CONNECT. */
  takeRest(): Buffer {
    return this.#input.takeRest();
  }

  /** Nothing of the connection is read after an error. */
  #broken(error: unknown): unknown {
    this.#error = error;
    this.#input = new Input();
    return error;
  }

  #read(): Event<H> | null {
    switch (this.#state) {
      case 'between':
        return this.#kind === 'request' || this.methods.length > 0 ? this.#readHead() : null;
      case 'interim':
        return this.#readHead();
      case 'length':
      case 'close': {
        const bytes = this.#input.take(this.#left);
        if (bytes === null) return this.#peerEnded && this.#state === 'close' ? this.#end('between', []) : null;
        this.#left -= bytes.length;
        if (this.#left === 0) this.#state = 'end';
        return { kind: 'data', bytes };
      }
      case 'chunked': {
        const part = this.#chunked.next(this.#input);
        return Array.isArray(part) ? this.#end('between', part) : part && { kind: 'data', bytes: part };
      }
      case 'end':
        return this.#end('between', []);
      case 'last end':
        return this.#end('switched', []);
      case 'switched':
        return null;
    }
  }

  #readHead(): Event<H> | null {
    if (!this.#head.read(this.#input)) return null;
    const head = this.build(this.#head);
    this.#head.begin(this.#kind);
    this.#state = this.after(head) ?? this.#beginBody(head.framing);
    return { kind: 'head', head };
  }

  #beginBody(framing: Framing): State {
    this.#left = framing.kind === 'length' ? framing.length : Infinity;
    this.#chunked.begin();
    return framing.kind === 'none' ? 'end' : framing.kind;
  }

  #end(state: State, trailers: string[]): Event<H> {
    this.#state = state;
    this.#head.begin(this.#kind);
    return { kind: 'end', trailers };
  }

  /** RFC 9112 §8: a message that ends too soon is incomplete. */
  #checkEnd(): null {
    // In these states the message is complete; its end is an event that next() gives.
    if (!this.#peerEnded || ['close', 'end', 'last end', 'switched'].includes(this.#state)) return null;
    const begun = this.#state !== 'between' || this.#head.begun;
    if (!begun && this.methods.length === 0) return null;
    throw new Http1Error(
      'TRUNCATED',
      `the connection ended ${begun ? 'within' : 'before'} a ${this.#kind} (RFC 9112 §8)`,
    );
  }
}

export class RequestReader extends MessageReader<RequestHead> {
  constructor(limits: Limits) {
    super('request', limits);
  }

  protected override build(head: Head): RequestHead {
    const { method, target, version } = head.requestLine();
    const fields = head.fields();
    const { framing, keepAlive } = frameRequest(version, fields);
    return { method, target, version, fields, framing, keepAlive };
  }

  protected override after(): null {
    return null;
  }
}

export class ResponseReader extends MessageReader<ResponseHead> {
  constructor(limits: Limits) {
    super('response', limits);
  }

  /**
   * Reads one response more, to a request with this method. Each 1xx gives a head without an end, and the final response follows.
   * After 101, or 2xx to CONNECT, what follows the end is the caller's (takeRest). Bytes that nothing was expected for stay unread.
   */
  expect(method: string): void {
    this.methods.push(method);
  }

  protected override build(head: Head): ResponseHead {
    const { status, reason, version } = head.statusLine();
    const fields = head.fields();
    const { framing, keepAlive } = frameResponse(version, fields, status, this.methods[0] ?? '');
    return { status, reason, version, fields, framing, keepAlive };
  }

  protected override after({ status }: ResponseHead): 'interim' | 'last end' | null {
    // RFC 9110 §15.2: a 1xx is interim, and the final response follows, but after 101 another protocol does.
    if (status < 200 && status !== 101) return 'interim';
    return switchesProtocol(status, this.methods.shift() ?? '') ? 'last end' : null;
  }
}
