/** HTTP/2 to an origin (RFC 9113) on node:http2: the sessions of one pool, and streams on them. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream, constants, type Http2Session } from 'node:http2';
import { Boundary, type ReportFault } from '../../core/boundary.ts';
import { MtlsdError } from '../../core/errors.ts';
import {
  breakOff,
  flatHeaders,
  headersObject,
  LENIENT,
  listSize,
  MOST_FIELD_PAIRS,
  rawHeaders,
  watchSession,
  withoutPseudo,
} from '../h2-session.ts';
import { sizeOf } from '../exchange/fields.ts';
import type { UpstreamConnection } from './connection.ts';
import { StreamFailure, type UpstreamEvents, type UpstreamRequest, type UpstreamStream } from './stream.ts';

/** Unused for so long, a session is closed; a server that closes it first says so with GOAWAY, and nothing is lost. */
const IDLE_MS = 60_000;
/** What a server that names no limit is asked for at most on one session (RFC 9113 §6.5.2 recommends no less). */
export const MAX_STREAMS = 100;
/** The value that means no limit (RFC 9113 §6.5.2), and Node's for a server that names none. */
const NO_LIMIT = 0xffff_ffff;
/** A server that never sends its SETTINGS does not speak HTTP/2 (RFC 9113 §3.4). */
const SETTINGS_MS = 10_000;

export interface H2Options {
  readonly headerBytes: number;
  readonly reportFault: ReportFault;
}

export interface H2Owner {
  /** A stream ended, or the server's settings came: there may be room for another, or less of it. */
  onRoom(session: H2Session): void;
  onClosed(session: H2Session): void;
}

export class H2Session {
  readonly upstream: UpstreamConnection;
  readonly #session: ClientHttp2Session;
  readonly #options: H2Options;
  readonly #owner: H2Owner;
  readonly #streams = new Set<H2Stream>();
  readonly #inside: Boundary;
  /** When the last stream ended (performance.now()). */
  idleSince = performance.now();
  #settings: 'awaited' | 'known' = 'awaited';
  #state: 'open' | 'closing' | 'closed' = 'open';

  /** Streams that the server takes at once; until it says so, what is expected of it. */
  #limit: number;

  /**
   * @param upstream a connection on which ALPN agreed on h2
   * @param expected streams at once before the server's settings are there
   */
  constructor(upstream: UpstreamConnection, expected: number, options: H2Options, owner: H2Owner) {
    this.upstream = upstream;
    this.#limit = expected;
    this.#options = options;
    this.#owner = owner;
    this.#inside = new Boundary(
      'upstream',
      options.reportFault,
      () => breakOff(this.#session),
      upstream.record?.connection,
    );
    const session = http2.connect('https://origin', {
      createConnection: () => upstream.socket,
      // The client's own limits hold the memory; these let one stream fill a long path (RFC 9113 §6.9.2).
      settings: { initialWindowSize: 1024 * 1024, enablePush: false, maxHeaderListSize: listSize(options.headerBytes) },
      maxHeaderListPairs: MOST_FIELD_PAIRS,
      maxSendHeaderBlockLength: listSize(options.headerBytes), // else a long request is refused
      ...LENIENT,
    });
    this.#session = session;
    const timer = setTimeout(breakOff, SETTINGS_MS, session);
    session.on(
      'connect',
      this.#inside.guard(() => session.setLocalWindowSize(4 * 1024 * 1024)),
    );
    session.on(
      'remoteSettings',
      this.#inside.guard(() => {
        clearTimeout(timer);
        this.#settings = 'known';
        const { maxConcurrentStreams: named = NO_LIMIT } = session.remoteSettings;
        this.#limit = named === NO_LIMIT ? MAX_STREAMS : named;
        upstream.heard();
        owner.onRoom(this);
      }),
    );
    session.on('error', (error: Error) => (upstream.error ??= error));
    session.on('goaway', () => this.#end('closing'));
    session.on('close', () => {
      clearTimeout(timer);
      upstream.lost(null);
      this.#end('closed');
    });
    watchSession(session, upstream.socket, IDLE_MS, () => this.#streams.size);
  }

  get room(): boolean {
    return this.#usable && this.#streams.size < this.#limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Another session would carry no more: this one has room or may have, or the server takes nothing now. */
  get suffices(): boolean {
    return this.#usable && (this.room || this.#settings === 'awaited' || this.#limit === 0);
  }

  get #usable(): boolean {
    return (
      this.#state === 'open' && !this.#session.closed && !this.#session.destroyed && !this.upstream.standing.lapsed()
    );
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Whether the origin takes Extended CONNECT (RFC 8441 §3); null until its settings are there. */
  get takesTunnels(): boolean | null {
    return this.#settings === 'awaited' ? null : this.#session.remoteSettings?.enableConnectProtocol === true;
  }

  /** Only where there is `room`. */
  send(request: UpstreamRequest, events: UpstreamEvents): void {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#session.request(headersOf(request), {
        endStream: !request.hasBody && request.tunnel === null,
        waitForTrailers: request.hasBody,
      });
    } catch (error) {
      if (this.#session.closed || this.#session.destroyed)
        events.onError(new StreamFailure('closed', 'the HTTP/2 connection ended', null, error as Error));
      else
        events.onError(
          new MtlsdError('BAD_REQUEST', `the request can't be sent in HTTP/2: ${(error as Error).message}`, {
            cause: error,
            nothingSent: true,
          }),
        );
      return;
    }
    const reused = this.upstream.uses > 0;
    this.upstream.uses += 1;
    const held = new H2Stream(stream, request, events, this.upstream, this.#inside, this.#options.headerBytes);
    this.#streams.add(held);
    stream.once('close', () => {
      this.#streams.delete(held);
      this.idleSince = performance.now();
      this.#inside.enter(() => this.#owner.onRoom(this));
    });
    events.onReached(held, this.upstream, reused);
  }

  /** Streams under way finish; nothing new begins. */
  close(): void {
    this.upstream.abandon();
    this.#session.close();
    this.#end('closing');
  }

  destroy(): void {
    this.upstream.abandon();
    breakOff(this.#session);
  }

  #end(state: 'closing' | 'closed'): void {
    if (this.#state === 'open') this.#inside.enter(() => this.#owner.onClosed(this));
    this.#state = state;
  }
}

class H2Stream implements UpstreamStream {
  readonly #stream: ClientHttp2Stream;
  /** A stream forgets its session as it closes. */
  readonly #session: Http2Session | undefined;
  readonly #events: UpstreamEvents;
  readonly #upstream: UpstreamConnection;
  #state: 'requested' | 'responding' | 'over' = 'requested';
  #responseTrailers: string[] = [];
  #requestTrailers: readonly string[] = [];

  constructor(
    stream: ClientHttp2Stream,
    request: UpstreamRequest,
    events: UpstreamEvents,
    upstream: UpstreamConnection,
    inside: Boundary,
    headerBytes: number,
  ) {
    this.#stream = stream;
    this.#session = stream.session;
    this.#events = events;
    this.#upstream = upstream;
    stream.on(
      'headers',
      inside.guard((...args: unknown[]) => {
        const status = Number((args[0] as { ':status'?: unknown })[':status']);
        if (this.#state === 'requested' && status !== 100) events.onInform(status, withoutPseudo(rawHeaders(args)));
      }),
    );
    stream.on(
      'response',
      inside.guard((...args: unknown[]) => this.#onResponse(args, request, headerBytes)),
    );
    stream.on(
      'trailers',
      inside.guard((...args: unknown[]) => {
        this.#responseTrailers = withoutPseudo(rawHeaders(args));
      }),
    );
    stream.on(
      'drain',
      inside.guard(() => this.#state !== 'over' && events.onDrain()),
    );
    stream.on(
      'wantTrailers',
      inside.guard(() => {
        // close() ends the body too; without its trailers it stays incomplete, and only the reset reaches the origin.
        if (this.#state !== 'over') stream.sendTrailers(headersObject(this.#requestTrailers));
      }),
    );
    stream.on('error', () => {}); // 'close' follows, with the code
    stream.on(
      'close',
      inside.guard(() => this.#onClose()),
    );
  }

  write(chunk: Buffer): boolean {
    return this.#stream.destroyed || this.#stream.writableEnded || this.#stream.write(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#requestTrailers = trailers;
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  abort(h2Code: number = constants.NGHTTP2_CANCEL): void {
    this.#state = 'over';
    this.#stream.close(h2Code);
    this.#stream.resume(); // what is buffered would hold the stream open
  }

  #onResponse(args: readonly unknown[], request: UpstreamRequest, headerBytes: number): void {
    if (this.#state !== 'requested') return;
    const status = Number((args[0] as { ':status'?: unknown })[':status']);
    const flags = Number(args[1]);
    const fields = withoutPseudo(rawHeaders(args));
    if (sizeOf(fields) > headerBytes)
      return this.#fail(new StreamFailure('invalid', `the fields of the response exceed ${headerBytes} bytes`));
    if (request.tunnel !== null && status === 200) {
      this.#state = 'over';
      this.#events.onTunnel(this.#stream, fields);
      return;
    }
    this.#state = 'responding';
    this.#listen();
    this.#events.onResponse(status, '', fields, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
  }

  #listen(): void {
    const stream = this.#stream;
    stream.on('data', (chunk: Buffer) => {
      if (this.#state === 'responding') this.#events.onData(chunk);
    });
    stream.on('end', () => {
      // 'end' comes for a reset stream too, and before its 'close'.
      if (this.#state !== 'responding' || stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) return;
      this.#state = 'over';
      this.#events.onEnd(this.#responseTrailers);
      // An early response: what is left of the request is not wanted (RFC 9113 §8.1).
      if (!stream.writableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #onClose(): void {
    if (this.#state === 'over') return; // nearly always; an Error with its stack takes microseconds
    const { rstCode } = this.#stream;
    // With its session gone, the code is that of the session's end, which no peer gave to this stream.
    this.#fail(
      rstCode === constants.NGHTTP2_NO_ERROR || this.#upstream.error || this.#session?.destroyed
        ? new StreamFailure('closed', 'the stream ended before the response was through', null, this.#upstream.error)
        : StreamFailure.reset(rstCode),
    );
  }

  #fail(failure: StreamFailure): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#stream.close(constants.NGHTTP2_CANCEL);
    this.#events.onError(this.#upstream.refusal ?? failure);
  }
}

function headersOf({ method, path, host, fields, teTrailers, tunnel }: UpstreamRequest): string[] {
  const pseudo = [
    ':method',
    tunnel === null ? method : 'CONNECT',
    ':scheme',
    'https',
    ':authority',
    host,
    ':path',
    path,
  ];
  if (tunnel !== null) pseudo.push(':protocol', tunnel);
  const all = flatHeaders(pseudo, fields);
  if (teTrailers) all.push('te', 'trailers');
  return all;
}
