/** HTTP/2 towards one client (RFC 9113), on node:http2's sessions. */
import http2, {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { Boundary, type ReportFault } from '../../core/boundary.ts';
import { MtlsdError } from '../../core/errors.ts';
import { atTurnEnd } from '../../runtime/turn.ts';
import { fieldValue, sizeOf } from '../exchange/fields.ts';
import {
  breakOff,
  flatHeaders,
  headersObject,
  LENIENT,
  listSize,
  MOST_FIELD_PAIRS,
  pseudo,
  rawHeaders,
  watchSession,
  withoutPseudo,
} from '../h2-session.ts';
import { HOST } from './h1.ts';
import type { ClientEvents, ClientStream } from './stream.ts';

export interface H2ClientOptions {
  readonly headerBytes: number;
  readonly timeoutsMs: { readonly request: number; readonly idle: number };
  readonly reportFault: ReportFault;
  readonly onRequest: (stream: H2ClientStream) => void;
  readonly onClosed: () => void;
}

/** Announced, and held by nghttp2: so many of one client's requests reach an origin at once. */
const MAX_STREAMS = 100;
/** Frames that wait for a client that does not read; above it, interim responses are dropped. */
const MOST_QUEUED_FRAMES = 16;

export class H2ClientConnection {
  readonly #session: ServerHttp2Session;
  readonly #streams = new Set<H2ClientStream>();
  /** Of this turn of the event loop. */
  readonly #arrived: H2ClientStream[] = [];
  readonly #serve: (stream: H2ClientStream) => void;

  constructor(socket: TLSSocket, options: H2ClientOptions) {
    socket.allowHalfOpen = false; // a client that ends its side of HTTP/2 has left
    const session = http2.performServerHandshake(socket, {
      settings: {
        enableConnectProtocol: true,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: listSize(options.headerBytes),
      },
      maxHeaderListPairs: MOST_FIELD_PAIRS,
      maxSendHeaderBlockLength: listSize(options.headerBytes), // else a long response is a reset
      ...LENIENT,
    });
    this.#session = session;
    const inside = new Boundary('client', options.reportFault, () => breakOff(session));
    session.on('error', () => {}); // a client that breaks HTTP/2 ends its own session
    session.on(
      'close',
      inside.guard(() => options.onClosed()),
    );
    socket.on('close', () => breakOff(session));
    watchSession(session, socket, options.timeoutsMs.idle, () => this.#streams.size);
    session.on(
      'stream',
      inside.guard((...args: unknown[]) => {
        const stream = args[0] as ServerHttp2Stream;
        const held = new H2ClientStream(stream, args, inside, options);
        this.#streams.add(held);
        stream.once('close', () => this.#streams.delete(held));
        this.#arrived.push(held);
        if (this.#arrived.length === 1) atTurnEnd(this, 'read');
      }),
    );
    this.#serve = inside.guard((stream: H2ClientStream) => options.onRequest(stream));
  }

  onTurnEnd(): void {
    for (const stream of this.#arrived.splice(0)) this.#serve(stream);
  }

  /** Ends waits whose time is up; the session watches its own idling. */
  checkTime(now: number): void {
    for (const { events } of this.#streams) events?.checkTime(now);
  }

  /** Streams under way finish; nothing new begins (GOAWAY). */
  close(): void {
    if (!this.#session.destroyed) this.#session.close();
  }
}

export class H2ClientStream implements ClientStream {
  readonly http = '2' as const;
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  readonly hasBody: boolean;
  readonly host: string | undefined;
  readonly tunnel: string | null;
  readonly refusal: MtlsdError | null;
  #events: ClientEvents | null = null;
  readonly #stream: ServerHttp2Stream;
  /** How long what is left of a request may keep its stream open once the response is through. */
  readonly #leftoverMs: number;
  #state: 'open' | 'ended' | 'over' = 'open';
  #flowing = false;
  #requestTrailers: string[] = [];
  #responseTrailers: readonly string[] = [];

  /** @param args of the 'stream' event: with the flat list, pseudo-fields in front */
  constructor(stream: ServerHttp2Stream, args: readonly unknown[], inside: Boundary, options: H2ClientOptions) {
    const headers = args[1] as IncomingHttpHeaders;
    this.#stream = stream;
    this.method = pseudo(headers, ':method') ?? 'GET';
    this.path = pseudo(headers, ':path') ?? '';
    const fields = withoutPseudo(rawHeaders(args));
    const connect = this.method === 'CONNECT';
    // nghttp2 ignores the length of a CONNECT; behind an Upgrade in HTTP/1.1 it would take the next request for a body.
    this.fields = connect ? fields.filter((_, i) => fields[i - (i % 2)] !== 'content-length') : fields;
    this.host = pseudo(headers, ':authority') ?? headers.host;
    this.hasBody = (Number(args[2]) & constants.NGHTTP2_FLAG_END_STREAM) === 0 && !connect;
    this.tunnel = connect ? (pseudo(headers, ':protocol') ?? '') : null;
    this.refusal = refusalOf(this, options.headerBytes);
    this.#leftoverMs = options.timeoutsMs.idle;
    stream.on(
      'trailers',
      inside.guard((...rest: unknown[]) => {
        this.#requestTrailers = withoutPseudo(rawHeaders(rest));
      }),
    );
    stream.on(
      'drain',
      inside.guard(() => this.#events?.onClientDrain()),
    );
    stream.on('error', () => {}); // a reset by the client is routine; 'close' follows
    stream.on(
      'aborted',
      inside.guard(() => this.#gone()),
    );
    stream.on(
      'close',
      inside.guard(() => this.#gone()),
    );
    stream.on(
      'wantTrailers',
      inside.guard(() => {
        // close() ends the body too; without its trailers it stays incomplete, and only the reset reaches the client.
        if (this.#state !== 'over') stream.sendTrailers(headersObject(this.#responseTrailers));
      }),
    );
  }

  get events(): ClientEvents | null {
    return this.#events;
  }

  set events(events: ClientEvents) {
    this.#events = events;
    if (this.#state === 'over') events.onGone(this.#resetCode); // within the turn in which it came
  }

  readBody(): void {
    const stream = this.#stream;
    if (this.#flowing) return void stream.resume();
    this.#flowing = true;
    // RFC 9110 §10.1.1; only a server of node:http2's own answers it by itself.
    const expects = this.hasBody && fieldValue(this.fields, 'expect')?.toLowerCase() === '100-continue';
    if (expects && !this.#closed && !stream.headersSent) stream.additionalHeaders({ ':status': 100 });
    stream.on('data', (chunk: Buffer) => this.#events?.onBody(chunk));
    stream.on('end', () => {
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR)
        this.#events?.onBodyEnd(this.#requestTrailers);
    });
  }

  pauseBody(): void {
    this.#stream.pause();
  }

  inform(status: number, fields: readonly string[]): void {
    const stream = this.#stream;
    if (this.#closed || stream.headersSent || stream.writableNeedDrain) return;
    // 1xx responses take no part in flow control (RFC 9113 §5.2).
    if ((stream.session?.state.outboundQueueSize ?? 0) > MOST_QUEUED_FRAMES) return;
    stream.additionalHeaders({ ...headersObject(fields), ':status': status });
  }

  respond(status: number, _reason: string, fields: string[], ended: boolean): void {
    const stream = this.#stream;
    if (this.#closed) return;
    const headers = flatHeaders([':status', String(status)], fields) as never;
    if (ended) this.#state = 'ended';
    stream.respond(headers, { endStream: ended, waitForTrailers: !ended, sendDate: false } as object);
  }

  write(chunk: Buffer): boolean {
    return this.#closed || this.#stream.write(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#responseTrailers = trailers;
    this.#state = 'ended';
    const stream = this.#stream;
    if (this.#closed) return;
    stream.end();
    // What is left of the request has nowhere to go (RFC 9113 §8.1); unread, or never ended, it would hold the stream open.
    stream.resume();
    if (!this.hasBody || stream.readableEnded) return;
    const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), this.#leftoverMs);
    stream.once('close', () => clearTimeout(timer));
  }

  acceptTunnel(fields: readonly string[]): Duplex {
    this.#state = 'ended'; // the relay sees the ends from here on
    // HTTP/2 has no key, and so no answer to one (RFC 8441 §5).
    const answer = flatHeaders([':status', '200'], fields).filter(
      (_, i, all) => all[i - (i % 2)] !== 'sec-websocket-accept',
    );
    if (!this.#closed) this.#stream.respond(answer, { sendDate: false } as object);
    return this.#stream;
  }

  abort(h2Code: number = constants.NGHTTP2_INTERNAL_ERROR): void {
    this.#state = 'over';
    this.#stream.close(h2Code);
    this.#stream.resume();
  }

  #gone(): void {
    if (this.#state !== 'open') return;
    this.#state = 'over';
    this.#events?.onGone(this.#resetCode);
  }

  get #resetCode(): number {
    // Of a connection that was lost the code is NO_ERROR, which would let the origin continue.
    return this.#stream.rstCode || constants.NGHTTP2_CANCEL;
  }

  /** Reset by the client, though its 'close' may not have come yet. */
  get #closed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }
}

/** What HTTP/1.1 refuses while it reads, and nghttp2 lets through. */
function refusalOf({ path, fields, host, tunnel }: ClientStream, headerBytes: number): MtlsdError | null {
  if (path.length + sizeOf(fields) > headerBytes)
    return new MtlsdError('REQUEST_TOO_LARGE', `the request's fields exceed ${headerBytes} bytes`);
  if (tunnel === '') return new MtlsdError('BAD_REQUEST', 'CONNECT inside an intercepted connection');
  if (host === undefined || !HOST.test(host))
    return new MtlsdError('BAD_REQUEST', 'a request without a valid :authority is refused (RFC 9113 §8.3.1)');
  const field = fieldValue(fields, 'host');
  if (field !== undefined && field.toLowerCase() !== host.toLowerCase())
    return new MtlsdError('BAD_REQUEST', 'a request whose Host and :authority differ is refused (RFC 9113 §8.3.1)');
  return null;
}
