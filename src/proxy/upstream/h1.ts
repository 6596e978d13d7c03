/** One HTTP/1.1 connection to an origin (RFC 9112): one request at a time, used again while both sides agree to. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { MtlsdError } from '../../core/errors.ts';
import { Boundary, type ReportFault } from '../../core/boundary.ts';
import type { Framing } from '../../http1/framing.ts';
import { ResponseReader, type ResponseHead } from '../../http1/reader.ts';
import { requestHead } from '../../http1/write.ts';
import { atTurnEnd } from '../../runtime/turn.ts';
import { MessageWriter } from '../message-writer.ts';
import { fieldValue } from '../exchange/fields.ts';
import type { UpstreamConnection } from './connection.ts';
import { StreamFailure, type UpstreamEvents, type UpstreamRequest, type UpstreamStream } from './stream.ts';

export interface H1Options {
  /** For the fields of one response. */
  readonly headerBytes: number;
  /** How long an idle connection is kept where the server names no time of its own (Keep-Alive: timeout=). */
  readonly keepAliveMs: number;
  readonly reportFault: ReportFault;
}

export interface H1Owner {
  /** The connection may carry another request. */
  onIdle(connection: H1Connection): void;
  onClosed(connection: H1Connection): void;
}

interface Active {
  readonly request: UpstreamRequest;
  readonly events: UpstreamEvents;
  /** The whole request was written. */
  sent: boolean;
  head: ResponseHead | null;
}

/** The longest time that a server is believed: a NAT on the way may drop the connection before that. */
const LONGEST_KEEP_ALIVE_MS = 600_000;
/** A request that is written as the server closes is lost, so stay below the time that it names. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
/**
 * A connection waits so long for its first request, whatever the settings say: else one that waits for the server to accept our
 * certificate (1 s at most) would close before it is used, and be dialled again and again.
 */
const FIRST_USE_MS = 2_000;

export class H1Connection implements UpstreamStream {
  readonly upstream: UpstreamConnection;
  readonly #socket: Socket;
  readonly #owner: H1Owner;
  readonly #reader: ResponseReader;
  readonly #writer: MessageWriter;
  readonly #inside: Boundary;
  /** null between requests. */
  #active: Active | null = null;
  #state: 'open' | 'closing' | 'closed' | 'detached' = 'open';
  #paused = false;
  #reading = false;
  /** What came is read at the end of this turn. */
  #due = false;
  #keepAliveMs: number;
  #idleSince = performance.now();

  constructor(upstream: UpstreamConnection, options: H1Options, owner: H1Owner) {
    this.upstream = upstream;
    this.#socket = upstream.socket;
    this.#owner = owner;
    this.#keepAliveMs = options.keepAliveMs;
    this.#reader = new ResponseReader({ headBytes: options.headerBytes });
    this.#inside = new Boundary('upstream', options.reportFault, () => upstream.end(), upstream.record?.connection);
    this.#writer = new MessageWriter(this.#socket, 'request', this.#inside);
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain).on('close', this.#onClose);
  }

  /** Whether it can carry a request now. */
  get ready(): boolean {
    const keptMs = this.upstream.uses > 0 ? this.#keepAliveMs : Math.max(this.#keepAliveMs, FIRST_USE_MS);
    return (
      this.#state === 'open' &&
      this.#active === null &&
      !this.#socket.destroyed &&
      performance.now() - this.#idleSince < keptMs &&
      !this.upstream.standing.lapsed()
    );
  }

  get busy(): boolean {
    return this.#active !== null;
  }

  get idleSince(): number {
    return this.#idleSince;
  }

  /**
   * Only where `ready`.
   * @throws MtlsdError BAD_REQUEST where the request can't be written in HTTP/1.1; nothing was sent
   */
  send(request: UpstreamRequest, events: UpstreamEvents): void {
    const framing = framingOf(request);
    const method = request.tunnel !== null && request.method === 'CONNECT' ? 'GET' : request.method; // RFC 8441 §5
    let head: string;
    try {
      head = requestHead(method, request.path, fieldsOf(request, framing));
    } catch (error) {
      this.#release();
      throw new MtlsdError('BAD_REQUEST', `the request can't be sent in HTTP/1.1: ${(error as Error).message}`, {
        cause: error,
        nothingSent: true,
      });
    }
    const reused = this.upstream.uses > 0;
    this.upstream.uses += 1;
    this.#reader.expect(method);
    this.#active = { request, events, sent: !request.hasBody, head: null };
    this.#writer.begin(head, framing);
    if (!request.hasBody) this.#writer.end([]);
    events.onReached(this, this.upstream, reused);
  }

  write(chunk: Buffer): boolean {
    return this.#active === null || this.#active.sent || this.#writer.write(chunk);
  }

  end(trailers: readonly string[]): void {
    if (!this.#active || this.#active.sent) return;
    this.#active.sent = true;
    this.#writer.end(trailers);
  }

  pause(): void {
    if (this.#paused || !this.#active) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
    this.#inside.enter(() => this.#read());
  }

  abort(): void {
    this.#active = null;
    this.upstream.end();
  }

  /** Carries no further request; what is under way finishes. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    if (!this.#active) this.upstream.end();
  }

  readonly #onData = (bytes: Buffer): void => {
    try {
      this.upstream.heard();
      // What comes unasked belongs to no request: a late 408, or an attempt to poison the next response.
      if (!this.#active) return this.upstream.end();
      this.#reader.feed(bytes);
      // A switch of protocols is read before an 'end' of the socket, which its tunnel must see.
      if (this.#active.head || this.#active.request.tunnel !== null) this.#read();
      else if (!this.#due) {
        this.#due = true;
        atTurnEnd(this, 'read');
      }
    } catch (error) {
      this.#inside.fault(error);
    }
  };

  onTurnEnd(): void {
    if (!this.#due) return;
    this.#due = false;
    try {
      this.#read();
    } catch (error) {
      this.#inside.fault(error);
    }
  }

  readonly #onEnd = (): void => {
    try {
      this.onTurnEnd();
      if (this.#active) {
        this.#reader.finish();
        this.#read();
      }
    } catch {
      // cut off: 'close' follows
    }
    if (this.#state !== 'detached') this.#socket.destroy();
  };

  readonly #onDrain = (): void => {
    this.#inside.enter(() => this.#active?.events.onDrain());
  };

  readonly #onClose = (): void => {
    this.onTurnEnd(); // a response whose connection was reset behind it
    this.#state = 'closed';
    this.upstream.lost(null);
    this.#inside.enter(() => this.#owner.onClosed(this));
    this.#fail(new StreamFailure('closed', closedSentence(this.#active), null, this.upstream.error));
  };

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#active && !this.#paused) {
        const event = this.#reader.next();
        if (!event) return;
        if (event.kind === 'head') this.#onHead(event.head, this.#active);
        else if (event.kind === 'data') this.#active.events.onData(event.bytes);
        else this.#onMessageEnd(event.trailers, this.#active);
      }
    } catch (error) {
      this.#fail(new StreamFailure('invalid', (error as Error).message, null, error as Error));
      this.upstream.end();
    } finally {
      this.#reading = false;
    }
  }

  #onHead(head: ResponseHead, active: Active): void {
    const { status, reason, fields } = head;
    if (status === 101) {
      if (active.request.tunnel === null)
        return this.#refuse('an origin switched protocols unasked (RFC 9110 §15.2.2)');
      this.#detach(fields, active);
    } else if (status < 200) {
      if (status !== 100) active.events.onInform(status, fields);
    } else {
      active.head = head;
      const timeout = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(fieldValue(fields, 'keep-alive') ?? '')?.[1];
      if (timeout !== undefined)
        this.#keepAliveMs = Math.min(Number(timeout) * 1000 - KEEP_ALIVE_MARGIN_MS, LONGEST_KEEP_ALIVE_MS);
      active.events.onResponse(status, reason, fields, head.framing.kind === 'none');
    }
  }

  #onMessageEnd(trailers: string[], active: Active): void {
    this.#active = null;
    // The response to a request that was not sent whole ends the connection: what is left would read as the next request.
    if (active.head?.keepAlive && active.sent && this.#reader.idle) this.#release();
    else this.upstream.end();
    active.events.onEnd(trailers);
  }

  #release(): void {
    this.#idleSince = performance.now();
    if (this.#state === 'closing') this.upstream.end();
    else if (this.#state === 'open') this.#owner.onIdle(this);
  }

  /** The bytes are another protocol's from here on. */
  #detach(fields: string[], active: Active): void {
    this.#active = null;
    this.#state = 'detached';
    const rest = this.#reader.takeRest();
    const socket = this.#socket;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain).off('close', this.#onClose);
    socket.pause();
    this.#writer.flush();
    if (rest.byteLength > 0) socket.unshift(rest);
    this.#owner.onClosed(this);
    active.events.onTunnel(socket, fields);
  }

  #refuse(message: string): void {
    this.#fail(new StreamFailure('invalid', message));
    this.upstream.end();
  }

  #fail(failure: StreamFailure): void {
    const active = this.#active;
    this.#active = null;
    active?.events.onError(this.upstream.refusal ?? failure);
  }
}

function closedSentence(active: Active | null): string {
  return active?.head
    ? 'the connection ended before the response was through'
    : 'the connection ended before a response came';
}

function framingOf({ hasBody, fields }: UpstreamRequest): Framing {
  if (!hasBody) return { kind: 'none' };
  const length = fieldValue(fields, 'content-length');
  return length === undefined ? { kind: 'chunked' } : { kind: 'length', length: Number(length) };
}

function fieldsOf({ host, fields, teTrailers, tunnel }: UpstreamRequest, framing: Framing): string[] {
  const all = ['Host', host, ...fields];
  if (framing.kind === 'chunked') all.push('Transfer-Encoding', 'chunked');
  if (tunnel !== null) {
    all.push('Connection', 'Upgrade', 'Upgrade', tunnel);
    // An HTTP/2 client has no key to send; RFC 6455 §4.1 wants 16 random octets.
    if (tunnel.toLowerCase() === 'websocket' && fieldValue(fields, 'sec-websocket-key') === undefined)
      all.push('Sec-WebSocket-Key', randomBytes(16).toString('base64'));
  } else if (teTrailers) all.push('TE', 'trailers', 'Connection', 'TE'); // RFC 9110 §10.1.4
  return all;
}
