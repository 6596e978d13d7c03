/**
 * HTTP/2 to an origin (RFC 9113) on node:http2, behind undici's dispatch call, so that an exchange need not know which of
 * the two it speaks to. undici's own HTTP/2 has no request trailers, no reset codes and no Extended CONNECT (8.12).
 */
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Readable } from 'node:stream';
import { MtlsdError } from '../../core/errors.ts';
import { toObject, withoutPseudo } from '../h2-fields.ts';
import { type RequestHandler, StreamReset, type UpstreamRequest } from './request.ts';
import type { Upstream } from './dial.ts';

/** Unused for so long, a session is closed; a server that closes it first says so with GOAWAY, and nothing is lost. */
const IDLE_MS = 60_000;
/** What a server that names no limit is asked for at most on one session (RFC 9113 §6.5.2 recommends no less). */
const MAX_STREAMS = 100;

interface Held {
  readonly session: ClientHttp2Session;
  readonly upstream: Upstream;
  streams: number;
}

/** Sessions whose origin has sent its settings. */
const settled = new WeakSet<ClientHttp2Session>();

/** The sessions of one pool: all to one authority with one identity and one policy. */
export class H2Sessions {
  readonly #held = new Set<Held>();
  #closing = false;

  /** @param upstream a connection on which ALPN agreed on h2 */
  add(upstream: Upstream): void {
    const session = http2.connect('https://origin', {
      createConnection: () => upstream.socket,
      // The client's own limits hold the memory; these let one stream fill a long path (RFC 9113 §6.9.2).
      settings: { initialWindowSize: 1024 * 1024, enablePush: false },
    });
    session.on('connect', () => session.setLocalWindowSize(4 * 1024 * 1024));
    const held: Held = { session, upstream, streams: 0 };
    this.#held.add(held);
    const gone = (): void => {
      this.#held.delete(held);
    };
    session.on('error', (error: Error) => {
      upstream.error ??= error;
    });
    session.on('remoteSettings', () => settled.add(session));
    session.on('goaway', gone);
    session.on('close', gone);
    session.setTimeout(IDLE_MS, () => {
      if (held.streams === 0) session.close();
    });
  }

  /** A session with room for a stream, or null. */
  #free(): Held | null {
    for (const held of this.#held) {
      const limit = Math.min(held.session.remoteSettings?.maxConcurrentStreams ?? MAX_STREAMS, 2 ** 31);
      if (!held.session.closed && !held.session.destroyed && held.streams < limit) return held;
    }
    return null;
  }

  get hasRoom(): boolean {
    return !this.#closing && this.#free() !== null;
  }

  get connected(): number {
    return this.#held.size;
  }

  get running(): number {
    let sum = 0;
    for (const { streams } of this.#held) sum += streams;
    return sum;
  }

  /** Whether the origin takes Extended CONNECT (RFC 8441 §3); known once its settings are there. */
  async takesTunnels(): Promise<boolean> {
    const session = this.#free()?.session;
    if (!session) return false;
    if (!settled.has(session))
      await new Promise((resolve) => session.once('remoteSettings', resolve).once('close', resolve));
    return session.remoteSettings?.enableConnectProtocol === true;
  }

  /** Only where `hasRoom`. */
  dispatch(request: UpstreamRequest, handler: RequestHandler): void {
    const held = this.#free();
    if (!held) throw new MtlsdError('CONNECTION_CLOSED', 'the HTTP/2 connection ended');
    held.streams += 1;
    handler.reached(held.upstream);
    new H2Request(held, request, handler);
  }

  /** Streams under way finish; nothing new begins. */
  close(): void {
    this.#closing = true;
    for (const { session } of this.#held) session.close();
  }

  destroy(): void {
    this.#closing = true;
    for (const { session } of this.#held) session.destroy();
  }
}

class H2Request {
  readonly #handler: RequestHandler;
  readonly #stream: ClientHttp2Stream;
  #responded = false;
  #aborted = false;
  #ended = false;
  #trailers: string[] = [];

  constructor(held: Held, request: UpstreamRequest, handler: RequestHandler) {
    this.#handler = handler;
    this.#stream = held.session.request(toHeaders(request), {
      endStream: request.body === null && !request.tunnel,
      waitForTrailers: request.body !== null,
    });
    this.#stream.on('close', () => {
      held.streams -= 1;
    });
    handler.onRequestStart({
      abort: (_reason: Error, h2Code?: number) => {
        this.#aborted = true;
        this.#stream.close(h2Code ?? constants.NGHTTP2_CANCEL);
      },
      pause: () => this.#stream.pause(),
      resume: () => this.#stream.resume(),
    });
    this.#listen(request);
    if (request.body) this.#send(request.body, request.trailers);
  }

  #listen(request: UpstreamRequest): void {
    const stream = this.#stream;
    stream.on('headers', (headers, _flags, raw) => {
      this.#handler.onResponseStart(Number(headers[':status']), withoutPseudo(raw), '', false);
    });
    stream.on('response', (headers, flags, raw) => {
      this.#responded = true;
      const status = Number(headers[':status']);
      const fields = withoutPseudo(raw);
      if (request.tunnel && status === 200) {
        this.#ended = true;
        this.#handler.onTunnel(stream, fields);
      } else this.#handler.onResponseStart(status, fields, '', (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    });
    stream.on('trailers', (_headers, _flags, raw) => {
      this.#trailers = withoutPseudo(raw);
    });
    if (!request.tunnel) {
      stream.on('data', (chunk: Buffer) => {
        this.#handler.onResponseData(chunk);
      });
      stream.on('end', () => {
        // 'end' comes for a reset stream too, and before its 'close'.
        if (!this.#responded || stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) return;
        this.#ended = true;
        this.#handler.onResponseEnd(this.#trailers);
      });
    }
    stream.on('error', () => {}); // 'close' follows, with the code
    stream.on('close', () => {
      if (this.#ended || this.#aborted) return;
      this.#handler.onResponseError(
        stream.rstCode === constants.NGHTTP2_NO_ERROR
          ? new MtlsdError('CONNECTION_CLOSED', 'the origin closed the stream before the response was through')
          : new StreamReset(stream.rstCode),
      );
    });
  }

  #send(body: Readable, trailers: () => string[]): void {
    const stream = this.#stream;
    body.on('data', (chunk: Buffer) => this.#handler.onBodySent(chunk));
    stream.on('wantTrailers', () => {
      // close() ends the body too; without its trailers it stays incomplete, and only the reset reaches the origin.
      if (!this.#aborted) stream.sendTrailers(toObject(trailers()));
    });
    body.pipe(stream);
  }
}

function toHeaders({ method, authority, path, fields, host, tunnel }: UpstreamRequest): OutgoingHttpHeaders {
  const headers = toObject(fields);
  delete headers.host; // :authority says it (RFC 9113 §8.3.1)
  return {
    ':method': tunnel ? 'CONNECT' : method,
    ...(tunnel && { ':protocol': tunnel }),
    ':scheme': 'https',
    ':authority': host ?? authority,
    ':path': path,
    ...headers,
  };
}
