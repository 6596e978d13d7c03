/**
 * HTTP/1.1 towards one client (RFC 9112): one request after another. What a client sends ahead (§9.3.2) waits until the
 * response before it is through, so that no request overtakes another and none needs a queue of responses.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Boundary, type ReportFault } from '../../core/boundary.ts';
import { MtlsdError } from '../../core/errors.ts';
import type { Framing } from '../../http1/framing.ts';
import { Http1Error } from '../../http1/errors.ts';
import { type RequestHead, RequestReader } from '../../http1/reader.ts';
import { responseHead } from '../../http1/write.ts';
import { atTurnEnd } from '../../runtime/turn.ts';
import { fieldValue } from '../exchange/fields.ts';
import { explainSyntax } from '../failure/request-syntax.ts';
import { endWith } from '../linger.ts';
import { MessageWriter } from '../message-writer.ts';
import type { ClientEvents, ClientStream } from './stream.ts';

export interface H1ClientOptions {
  readonly headerBytes: number;
  readonly timeoutsMs: { readonly request: number; readonly idle: number };
  readonly reportFault: ReportFault;
  /** Inside a tunnel, a client that ends its side has left; on a plain connection it may wait for its response. */
  readonly endMeansGone: boolean;
  /** Handles a request; throws MtlsdError for one that is refused before it is an exchange. */
  readonly onRequest: (head: RequestHead, stream: H1ClientStream) => void;
  /** Takes the connection over, with what came behind the request's head in the socket; null where CONNECT has no place. */
  readonly onConnect: ((head: RequestHead, socket: Socket) => void) | null;
  /** Records the refusal. @returns the whole response, which ends the connection */
  readonly refuse: (error: MtlsdError, head: RequestHead | null) => Buffer;
  readonly onClosed: () => void;
}

/** What a client may send ahead before it is no longer read. */
const MOST_AHEAD_BYTES = 64 * 1024;

/** How long a client that ended its side waits for a response while no bytes flow. */
const HALF_CLOSED_MS = 10_000;

/**
 * `head`: a request is awaited or half there. `body`: its body is read. `held`: it was read whole, and its response is not
 * through. `over`: nothing more is read. `detached`: the socket is another protocol's.
 */
type Reading = 'head' | 'body' | 'held' | 'over' | 'detached';

export class H1ClientConnection {
  readonly #socket: Socket;
  readonly #options: H1ClientOptions;
  readonly #reader: RequestReader;
  readonly #writer: MessageWriter;
  readonly #inside: Boundary;
  #reading: Reading = 'head';
  #stream: H1ClientStream | null = null;
  /** What came while it could not be used, in order. */
  #ahead: Buffer[] = [];
  #aheadBytes = 0;
  #pumping = false;
  /** The client ended its side (performance.now()); 0 before. */
  #endedAt = 0;
  /** When the present wait began (performance.now()). */
  #since = performance.now();
  /** Closes after the response under way. */
  #closing = false;

  constructor(socket: Socket, options: H1ClientOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new RequestReader({ headBytes: options.headerBytes });
    this.#inside = new Boundary('client', options.reportFault, () => socket.destroy());
    this.#writer = new MessageWriter(socket, 'response', this.#inside);
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('close', this.#onClose);
    socket.on('error', ignore); // a client's reset is routine; 'close' follows
  }

  /** No further request: ends now where nothing is under way, else with the response. */
  close(): void {
    if (this.#reading === 'detached') return;
    this.#closing = true;
    if (!this.#stream && this.#reader.idle && this.#ahead.length === 0) this.#finish();
  }

  /** Ends waits whose time is up. Called now and then by the server, which has one timer for all of its connections. */
  checkTime(now: number): void {
    this.#inside.enter(() => {
      const { request, idle } = this.#options.timeoutsMs;
      const waited = now - this.#since;
      if (this.#reading === 'over' || this.#reading === 'detached') return;
      if (this.#stream) {
        if (this.#endedAt > 0 && now - Math.max(this.#endedAt, this.#since) > HALF_CLOSED_MS) this.#socket.destroy();
        else this.#stream.events?.checkTime(now);
      } else if (!this.#reader.idle) {
        if (waited > request)
          this.#refuse(
            new MtlsdError('REQUEST_TIMEOUT', `the fields of the request did not come within ${request / 1000} s`),
            null,
          );
      } else if (waited > idle) this.#finish();
    });
  }

  // ---- for the stream

  get writer(): MessageWriter {
    return this.#writer;
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** The response continues: a client that ended its side still gets bytes. */
  touch(): void {
    if (this.#endedAt > 0) this.#since = performance.now();
  }

  get closing(): boolean {
    return this.#closing || this.#endedAt > 0;
  }

  readBody(): void {
    this.#pump();
  }

  /** The response is through. @param close the connection ends with it */
  done(close: boolean): void {
    const whole = this.#reading === 'held';
    this.#stream = null;
    if (close || !whole) return this.#finish();
    this.#reading = 'head';
    this.#since = performance.now();
    if (this.closing && this.#ahead.length === 0) return this.#finish();
    this.#pump();
  }

  /** The response can't be completed: the client sees that, since its end does not come. */
  abort(): void {
    this.#stream = null;
    this.#reading = 'over';
    this.#writer.flush();
    this.#socket.destroy();
  }

  /** Hands the socket over, with what came behind the request. */
  detach(): Socket {
    const socket = this.#socket;
    this.#reading = 'detached';
    this.#stream = null;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClose);
    socket.pause();
    this.#options.onClosed();
    this.#writer.flush();
    const rest = Buffer.concat([this.#reader.takeRest(), ...this.#ahead]);
    this.#ahead = [];
    if (rest.byteLength > 0) socket.unshift(rest);
    return socket;
  }

  // ---- from the socket

  readonly #onData = (bytes: Buffer): void => {
    if (this.#reading === 'over') return; // read to be dropped: linger.ts
    try {
      if (this.#reading === 'head' && this.#reader.idle) this.#since = performance.now();
      this.#ahead.push(bytes);
      this.#aheadBytes += bytes.byteLength;
      // A CONNECT is read before an 'end' of the socket, which its tunnel must see.
      if (this.#reading !== 'head' || this.#options.onConnect) this.#pump();
      else if (this.#ahead.length === 1) atTurnEnd(this, 'read');
      if (this.#aheadBytes > MOST_AHEAD_BYTES) this.#socket.pause();
    } catch (error) {
      this.#inside.fault(error);
    }
  };

  onTurnEnd(): void {
    try {
      this.#pump();
    } catch (error) {
      this.#inside.fault(error);
    }
  }

  readonly #onEnd = (): void => {
    this.#inside.enter(() => {
      this.#pump();
      if (this.#reading === 'over' || this.#reading === 'detached') return;
      this.#endedAt = performance.now();
      // Cut off, or done; either way nothing follows.
      if (!this.#stream && this.#ahead.length === 0) return void this.#socket.end();
      if (this.#options.endMeansGone || this.#reading === 'body') this.#socket.destroy();
    });
  };

  readonly #onDrain = (): void => {
    this.touch();
    this.#stream?.events?.onClientDrain();
  };

  readonly #onClose = (): void => {
    const stream = this.#stream;
    this.#stream = null;
    this.#reading = 'over';
    this.#ahead = [];
    stream?.gone();
    this.#inside.enter(() => this.#options.onClosed());
  };

  /** Reads on as far as there are bytes and somebody to take what they say. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#canRead) {
        const event = this.#reader.next();
        if (event === null) {
          const bytes = this.#ahead.shift();
          if (!bytes) break;
          this.#aheadBytes -= bytes.byteLength;
          this.#reader.feed(bytes);
        } else if (event.kind === 'head') this.#onHead(event.head);
        else if (event.kind === 'data') this.#stream?.events?.onBody(event.bytes);
        else this.#onMessageEnd(event.trailers);
      }
    } catch (error) {
      this.#onReadError(error);
    } finally {
      this.#pumping = false;
    }
    if (this.#aheadBytes <= MOST_AHEAD_BYTES && this.#socket.isPaused() && this.#reading !== 'detached')
      this.#socket.resume();
  }

  get #canRead(): boolean {
    return this.#reading === 'head' || (this.#reading === 'body' && this.#stream?.wantsBody === true);
  }

  #onHead(head: RequestHead): void {
    if (head.method === 'CONNECT' && this.#options.onConnect) {
      // RFC 9110 §9.3.6: a body has no meaning here, and its bytes could be read as the tunnel's.
      if (head.framing.kind !== 'none')
        return this.#refuse(new MtlsdError('BAD_REQUEST', 'a CONNECT with a body is refused (RFC 9110 §9.3.6)'), head);
      this.#reader.next(); // its end
      return this.#options.onConnect(head, this.detach());
    }
    const stream = new H1ClientStream(this, head);
    this.#stream = stream;
    this.#since = performance.now();
    this.#reading = stream.hasBody ? 'body' : 'held';
    if (!stream.hasBody) this.#reader.next(); // its end
    try {
      if (head.method === 'CONNECT') throw new MtlsdError('BAD_REQUEST', 'CONNECT inside an intercepted connection');
      checkHost(head);
      this.#options.onRequest(head, stream);
    } catch (error) {
      if (!(error instanceof MtlsdError)) throw error;
      this.#stream = null;
      this.#refuse(error, head);
    }
  }

  #onMessageEnd(trailers: string[]): void {
    this.#reading = 'held';
    this.#stream?.events?.onBodyEnd(trailers);
  }

  /** What the client sends is not HTTP/1.1. */
  #onReadError(error: unknown): void {
    if (!(error instanceof Http1Error)) return this.#inside.fault(error);
    const stream = this.#stream;
    if (stream) {
      // In the middle of a body: what was forwarded can't be completed.
      this.#stream = null;
      this.#reading = 'over';
      stream.gone();
      if (stream.responded) return void this.#socket.destroy();
    }
    const { headerBytes, onConnect } = this.#options;
    this.#refuse(explainSyntax(error, headerBytes, onConnect !== null), null);
  }

  #refuse(error: MtlsdError, head: RequestHead | null): void {
    this.#reading = 'over';
    this.#ahead = [];
    this.#writer.flush();
    endWith(this.#socket, this.#options.refuse(error, head));
  }

  #finish(): void {
    this.#reading = 'over';
    this.#ahead = [];
    this.#writer.flush();
    endWith(this.#socket);
  }
}

const ignore = (): void => {};

const UPGRADE_OPTION = /(?:^|[\s,])upgrade(?:$|[\s,])/i;

/** One request on the connection, and its response. */
export class H1ClientStream implements ClientStream {
  readonly http: '1.0' | '1.1';
  readonly method: string;
  /** The exchange's, once the request line was understood. */
  path: string;
  readonly fields: readonly string[];
  readonly hasBody: boolean;
  readonly tunnel: string | null;
  readonly refusal = null;
  events: ClientEvents | null = null;
  responded = false;
  wantsBody = false;
  readonly #connection: H1ClientConnection;
  readonly #keepAlive: boolean;
  #expectsContinue: boolean;
  #close = false;

  constructor(connection: H1ClientConnection, head: RequestHead) {
    this.#connection = connection;
    this.http = head.version;
    this.method = head.method;
    this.path = head.target;
    this.fields = head.fields;
    this.hasBody = head.framing.kind === 'chunked' || (head.framing.kind === 'length' && head.framing.length > 0);
    this.#keepAlive = head.keepAlive;
    // RFC 9110 §10.1.1: not from HTTP/1.0 clients.
    this.#expectsContinue =
      this.hasBody && this.http === '1.1' && fieldValue(head.fields, 'expect')?.toLowerCase() === '100-continue';
    this.tunnel = this.hasBody ? null : tunnelOf(head);
  }

  get host(): string | undefined {
    return fieldValue(this.fields, 'host');
  }

  readBody(): void {
    if (this.#expectsContinue) {
      this.#expectsContinue = false;
      this.#connection.writer.interim('HTTP/1.1 100 Continue\r\n\r\n');
    }
    if (this.wantsBody) return;
    this.wantsBody = true;
    this.#connection.readBody();
  }

  pauseBody(): void {
    this.wantsBody = false;
  }

  inform(status: number, fields: readonly string[]): void {
    // HTTP/1.0 has none (RFC 9110 §15.2).
    if (this.http === '1.0' || this.#connection.socket.writableNeedDrain) return;
    this.#connection.writer.interim(responseHead(status, STATUS_CODES[status] ?? '', fields));
  }

  respond(status: number, reason: string, fields: string[], _ended: boolean, close: boolean): void {
    const framing = this.#framingOf(status, fields);
    // A client that never got its 100 (Continue) sends no body; without the close the connection would wait for one.
    // Behind a declined Upgrade there may be bytes of the other protocol, which must not be read as a request.
    this.#close =
      close ||
      this.tunnel !== null ||
      !this.#keepAlive ||
      this.#expectsContinue ||
      this.#connection.closing ||
      framing.kind === 'close';
    const all = framing.kind === 'chunked' ? fields : withoutTrailerField(fields);
    if (framing.kind === 'chunked') all.push('Transfer-Encoding', 'chunked');
    if (this.#close) all.push('Connection', 'close');
    else if (this.http === '1.0') all.push('Connection', 'keep-alive');
    this.responded = true;
    this.#connection.writer.begin(responseHead(status, reason, all), framing);
  }

  write(chunk: Buffer): boolean {
    this.#connection.touch();
    return this.#connection.writer.write(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#connection.writer.end(trailers);
    this.#connection.done(this.#close);
  }

  acceptTunnel(fields: readonly string[], protocol: string): Duplex {
    this.#connection.writer.interim(
      responseHead(101, 'Switching Protocols', [...fields, 'Connection', 'Upgrade', 'Upgrade', protocol]),
    );
    return this.#connection.detach();
  }

  abort(): void {
    this.#connection.abort();
  }

  /** The client left, or sent what can't be read. */
  gone(): void {
    this.events?.onGone();
  }

  #framingOf(status: number, fields: readonly string[]): Framing {
    if (this.method === 'HEAD' || status === 204 || status === 304) return { kind: 'none' };
    const length = fieldValue(fields, 'content-length');
    if (length !== undefined) return { kind: 'length', length: Number(length) };
    return this.http === '1.1' ? { kind: 'chunked' } : { kind: 'close' };
  }
}

/** RFC 9110 §6.6.2: trailers are announced where they can come. */
function withoutTrailerField(fields: string[]): string[] {
  if (fieldValue(fields, 'trailer') === undefined) return fields;
  return fields.filter((_, i) => (fields[i - (i % 2)] as string).toLowerCase() !== 'trailer');
}

/**
 * Another protocol that the client asks for. h2c and TLS would be upgrades of the connection to us, which may be declined by
 * not answering them; HTTP/1.0 has none (RFC 9110 §7.8).
 */
function tunnelOf({ version, fields }: RequestHead): string | null {
  if (version === '1.0') return null;
  const protocol = fieldValue(fields, 'upgrade');
  if (protocol === undefined || protocol === '' || /\b(h2c|tls)\b/i.test(protocol)) return null;
  return UPGRADE_OPTION.test(fieldValue(fields, 'connection') ?? '') ? protocol : null;
}

/** RFC 9112 §3.2: one Host field, and one that can be a host; HTTP/1.0 may go without. */
function checkHost({ version, fields }: RequestHead): void {
  let host: string | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (host !== null) throw new MtlsdError('BAD_REQUEST', 'a request with two Host fields is refused (RFC 9112 §3.2)');
    host = fields[i + 1] as string;
  }
  if (host === null) {
    if (version === '1.0') return;
    throw new MtlsdError('BAD_REQUEST', 'a request without a Host field is refused (RFC 9112 §3.2)');
  }
  if (!HOST.test(host))
    throw new MtlsdError('BAD_REQUEST', 'a request with a malformed Host field is refused (RFC 9112 §3.2)');
}

/** RFC 3986 §3.2.2 and §3.2.3: reg-name or IP-literal, and a port. */
export const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d{0,5})?$/;
