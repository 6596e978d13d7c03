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
import {
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

export class H2ClientConnection {
  readonly #session: ServerHttp2Session;
  #streams = 0;

  constructor(socket: TLSSocket, options: H2ClientOptions) {
    socket.allowHalfOpen = false; // a client that ends its side of HTTP/2 has left
    const session = http2.performServerHandshake(socket, {
      settings: {
        enableConnectProtocol: true,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: listSize(options.headerBytes),
      },
      maxHeaderListPairs: MOST_FIELD_PAIRS,
      ...LENIENT,
    });
    this.#session = session;
    const inside = new Boundary('client', options.reportFault, () => session.destroy());
    session.on('error', () => {}); // a client that breaks HTTP/2 ends its own session
    session.on(
      'close',
      inside.guard(() => options.onClosed()),
    );
    socket.on('close', () => session.destroy());
    watchSession(session, options.timeoutsMs.idle, () => this.#streams);
    session.on(
      'stream',
      inside.guard((...args: unknown[]) => {
        const stream = args[0] as ServerHttp2Stream;
        this.#streams += 1;
        stream.once('close', () => {
          this.#streams -= 1;
        });
        options.onRequest(new H2ClientStream(stream, args[1] as IncomingHttpHeaders, args, inside));
      }),
    );
  }

  get busy(): boolean {
    return this.#streams > 0;
  }

  /** Streams under way finish; nothing new begins (GOAWAY). */
  close(): void {
    if (!this.#session.destroyed) this.#session.close();
  }

  checkTime(): void {
    // the session watches itself
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
  events: ClientEvents | null = null;
  readonly #stream: ServerHttp2Stream;
  #state: 'open' | 'ended' | 'over' = 'open';
  #flowing = false;
  #requestTrailers: string[] = [];
  #responseTrailers: readonly string[] = [];

  /** @param args of the 'stream' event: with the flat list, pseudo-fields in front */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, args: readonly unknown[], inside: Boundary) {
    this.#stream = stream;
    this.method = pseudo(headers, ':method') ?? 'GET';
    this.path = pseudo(headers, ':path') ?? '';
    this.fields = withoutPseudo(rawHeaders(args));
    this.host = pseudo(headers, ':authority') ?? headers.host;
    const connect = this.method === 'CONNECT';
    this.hasBody = (Number(args[2]) & constants.NGHTTP2_FLAG_END_STREAM) === 0 && !connect;
    this.tunnel = connect ? (pseudo(headers, ':protocol') ?? '') : null;
    stream.on(
      'trailers',
      inside.guard((...rest: unknown[]) => {
        this.#requestTrailers = withoutPseudo(rawHeaders(rest));
      }),
    );
    stream.on(
      'drain',
      inside.guard(() => this.events?.onClientDrain()),
    );
    stream.on('error', () => {}); // a reset by the client is routine; 'close' tells it
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

  readBody(): void {
    const stream = this.#stream;
    if (this.#flowing) return void stream.resume();
    this.#flowing = true;
    stream.on('data', (chunk: Buffer) => this.events?.onBody(chunk));
    stream.on('end', () => {
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR)
        this.events?.onBodyEnd(this.#requestTrailers);
    });
  }

  pauseBody(): void {
    this.#stream.pause();
  }

  inform(status: number, fields: readonly string[]): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent || stream.writableNeedDrain) return;
    stream.additionalHeaders({ ...headersObject(fields), ':status': status });
  }

  respond(status: number, _reason: string, fields: string[], ended: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    const headers = flatHeaders([':status', String(status)], fields) as never;
    if (ended) this.#state = 'ended';
    stream.respond(headers, { endStream: ended, waitForTrailers: !ended, sendDate: false } as object);
  }

  write(chunk: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.write(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#responseTrailers = trailers;
    this.#state = 'ended';
    const stream = this.#stream;
    if (stream.destroyed) return;
    stream.end();
    // What is left of the request has nowhere to go; unread, it would hold the stream open.
    stream.resume();
  }

  acceptTunnel(fields: readonly string[]): Duplex {
    this.#state = 'ended'; // the relay sees the ends from here on
    // HTTP/2 has no key, and so no answer to one (RFC 8441 §5).
    const answer = flatHeaders([':status', '200'], fields).filter(
      (_, i, all) => all[i - (i % 2)] !== 'sec-websocket-accept',
    );
    this.#stream.respond(answer, { sendDate: false } as object);
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
    this.events?.onGone(this.#stream.rstCode);
  }
}
