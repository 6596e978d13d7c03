/**
 * One request and its response: decide, take a connection that was made for that decision, copy both ways, record once. It
 * owns no socket and knows no version of HTTP; what is retried, explained, answered and recorded, others say.
 */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { containMethods, type ReportFault } from '../../core/boundary.ts';
import { hintAt, MtlsdError } from '../../core/errors.ts';
import { nextId } from '../../core/ids.ts';
import { certificateSentence } from '../../inspect/records/client-certificate.ts';
import { type FieldPolicy, keepHead, type RecordedFields, type RecordedHead } from '../../inspect/records/fields.ts';
import type { ExchangeRecord, RecordError } from '../../inspect/records/types.ts';
import { buffered } from '../../runtime/buffers.ts';
import { answerProblem } from '../answer.ts';
import type { ClientConnection, ClientEvents, ClientStream } from '../client/stream.ts';
import { explain } from '../failure/explain.ts';
import { refusedByNginx } from '../failure/nginx.ts';
import { relay } from '../relay.ts';
import type { Tunnels } from '../tunnels.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { Ticket } from '../upstream/pool.ts';
import type { Pools } from '../upstream/pools.ts';
import { stillDecided } from '../upstream/route.ts';
import { StreamFailure, type UpstreamEvents, type UpstreamRequest, type UpstreamStream } from '../upstream/stream.ts';
import {
  fieldValue,
  type ForwardedFields,
  forwardRequestFields,
  forwardResponseFields,
  forwardTrailers,
} from './fields.ts';
import { requestHead, responseHead } from './heads.ts';
import { recordOf } from './record.ts';
import { mayRepeat, mayRetry } from './retry.ts';
import { refuseByPolicy, type Router, type Routing } from './routing.ts';

export interface ExchangeContext {
  readonly router: Router;
  readonly pools: Pools;
  readonly tunnels: Tunnels;
  readonly onRecord: (record: ExchangeRecord, fields: RecordedFields | null) => void;
  readonly reportFault: ReportFault;
  /** Whether a record's path keeps its query. */
  readonly logQuery: boolean;
  /** Which header fields are given to `onRecord`. */
  readonly fieldPolicy: FieldPolicy;
  /** This daemon's name in Via, unique to its run (RFC 9110 §7.6.3). */
  readonly via: string;
  readonly timeoutsMs: { readonly response: number; readonly stream: number };
  /** True while draining: connections end with their response. */
  readonly draining: () => boolean;
}

/**
 * `waiting` for a connection; `requested`: the head was written; `responding`: the response's head was passed on; `tunnel`:
 * both sides speak another protocol. Ended by: waiting, the dial's time-outs or the pool's wait for a free connection;
 * requested, timeouts.response; responding and tunnel, timeouts.stream; all of them, the client's leaving.
 */
type State = 'waiting' | 'requested' | 'responding' | 'tunnel' | 'done';

/** Interim responses of one exchange; more are an attack on the reader. */
const MOST_INTERIM = 64;

export class Exchange implements UpstreamEvents, ClientEvents {
  readonly #context: ExchangeContext;
  readonly #connection: ClientConnection;
  readonly #stream: ClientStream;
  readonly id = nextId('x');
  readonly #startedAt = Date.now();
  readonly #started = performance.now();
  #state: State = 'waiting';
  #routing: Routing | null = null;
  #ticket: Ticket | null = null;
  #upstream: UpstreamStream | null = null;
  #via: UpstreamConnection | null = null;
  #reused = false;
  #attempts = 0;
  #interim = 0;
  #status: number | null = null;
  #requestBytes = 0;
  #responseBytes = 0;
  #sentAt = 0;
  #headAt = 0;
  #noted: RecordError | null = null;
  /** Where heads are kept. */
  #responseHead: RecordedHead | null = null;
  /** How long both sides may be silent; 0 for ever. */
  #silenceMs = 0;
  /** The last byte, as performance.now(). */
  #heardAt = 0;

  constructor(context: ExchangeContext, connection: ClientConnection, stream: ClientStream) {
    this.#context = context;
    this.#connection = connection;
    this.#stream = stream;
  }

  run(): void {
    this.#stream.events = this;
    if (this.#state === 'done') return;
    try {
      if (this.#stream.refusal) throw this.#stream.refusal;
      const forwarded = forwardRequestFields(this.#stream.fields);
      if (forwarded.via?.includes(this.#context.via))
        throw new MtlsdError('LOOP_DETECTED', `the request to ${this.#where} went through this proxy before`);
      this.#dispatch(forwarded);
    } catch (error) {
      if (error instanceof MtlsdError) this.#fail(error);
      else this.fault(error);
    }
  }

  // ---- what the client says

  onBody(chunk: Buffer): void {
    if (!this.#upstream) return;
    this.#requestBytes += chunk.byteLength;
    buffered(chunk.byteLength);
    this.#heardAt = performance.now();
    if (!this.#upstream.write(chunk)) this.#stream.pauseBody();
  }

  onBodyEnd(trailers: string[]): void {
    this.#heardAt = performance.now();
    this.#upstream?.end(forwardTrailers(trailers));
  }

  onClientDrain(): void {
    this.#upstream?.resume();
  }

  checkTime(now: number): void {
    if (this.#silenceMs === 0 || now - this.#heardAt <= this.#silenceMs) return;
    const seconds = this.#silenceMs / 1000;
    this.#fail(
      this.#headAt === 0
        ? new MtlsdError('RESPONSE_TIMEOUT', `${this.#where}: no response within ${seconds} s`)
        : new MtlsdError('RESPONSE_TIMEOUT', `${this.#where}: no bytes for ${seconds} s`, {
            hint: 'raise timeouts.stream in mtlsd.yaml if such pauses are normal',
          }),
    );
  }

  onGone(h2Code?: number): void {
    if (this.#state === 'done') return;
    const { code, message, hint } = new MtlsdError('CLIENT_GONE', 'the client left before the response was through');
    this.#release(h2Code);
    this.#finish({ code, message, hint, alert: null });
  }

  // ---- what the origin says

  onReached(upstream: UpstreamStream, via: UpstreamConnection, reused: boolean): void {
    if (this.#state === 'done') return upstream.abort();
    this.#state = 'requested';
    this.#upstream = upstream;
    this.#via = via;
    this.#reused = reused;
    this.#sentAt = this.#heardAt = performance.now();
    this.#silenceMs = this.#context.timeoutsMs.response;
    if (this.#stream.hasBody) this.#stream.readBody();
  }

  onInform(status: number, fields: string[]): void {
    if (this.#state !== 'requested') return;
    if (status < 100) return this.onError(statusWithoutMeaning(status));
    this.#interim += 1;
    if (this.#interim > MOST_INTERIM)
      return this.onError(new StreamFailure('invalid', `more than ${MOST_INTERIM} interim responses`));
    this.#heardAt = performance.now();
    this.#stream.inform(status, forwardResponseFields(fields, status));
  }

  onResponse(status: number, reason: string, received: string[], ended: boolean): void {
    if (this.#state !== 'requested') return;
    const { http, tunnel } = this.#stream;
    // HTTP/1.1 carries a status above 599 as it is; HTTP/2 has no way to (node:http2 throws).
    if (status < 200 || (http === '2' && status > 599)) return this.onError(statusWithoutMeaning(status));
    // In HTTP/2 a 2xx would agree to the tunnel (RFC 8441 §5), and the body would be read as the other protocol.
    if (http === '2' && tunnel !== null && status < 300)
      return this.onError(new StreamFailure('invalid', `the origin answered ${status} instead of 101 to an Upgrade`));
    this.#state = 'responding';
    this.#status = status;
    this.#headAt = this.#heardAt = performance.now();
    this.#silenceMs = this.#context.timeoutsMs.stream;
    this.#keepResponse(reason, received);
    const fields = forwardResponseFields(received, status);
    this.#stream.respond(status, reason || (STATUS_CODES[status] ?? ''), fields, ended, this.#context.draining());
  }

  onData(chunk: Buffer): void {
    if (this.#state !== 'responding') return;
    if (this.#responseBytes === 0 && this.#status === 400) this.#noted = this.#nginxSays(chunk);
    this.#responseBytes += chunk.byteLength;
    buffered(chunk.byteLength);
    this.#heardAt = performance.now();
    if (!this.#stream.write(chunk)) this.#upstream?.pause();
  }

  onEnd(trailers: string[]): void {
    if (this.#state !== 'responding') return;
    this.#upstream = null;
    // Recorded first: the next request of the connection may begin inside end().
    const stream = this.#stream;
    this.#finish(this.#noted);
    stream.end(forwardTrailers(trailers));
  }

  onDrain(): void {
    if (this.#state === 'requested' || this.#state === 'responding') this.#stream.readBody();
  }

  onTunnel(origin: Duplex, received: string[]): void {
    if (this.#state !== 'requested') {
      origin.destroy();
      return;
    }
    this.#state = 'tunnel';
    const { http } = this.#stream;
    this.#status = http === '2' ? 200 : 101;
    this.#headAt = performance.now();
    this.#silenceMs = 0; // the relay has its own
    this.#upstream = null;
    this.#keepResponse(null, received);
    const protocol = fieldValue(received, 'upgrade') ?? this.#stream.tunnel ?? '';
    const client = this.#stream.acceptTunnel(forwardResponseFields(received, 101), protocol);
    const route = this.#routing?.route;
    const forget =
      route &&
      this.#context.tunnels.hold(
        () => client.destroy(),
        (next) => stillDecided(route, next),
      );
    relay(client, origin, this.#context.timeoutsMs.stream).then(
      ({ sent, received: bytes }) => {
        forget?.();
        this.#requestBytes = sent;
        this.#responseBytes = bytes;
        this.#finish(null);
      },
      (error: unknown) => this.fault(error),
    );
  }

  onWithdrawn(): void {
    if (this.#state !== 'waiting') return;
    this.run();
  }

  onError(error: MtlsdError | StreamFailure): void {
    if (this.#state === 'done') return;
    const { method, hasBody } = this.#stream;
    const facts = { error, method, hasBody, reused: this.#reused, attempts: this.#attempts };
    if (this.#state !== 'responding' && mayRetry(facts)) {
      this.#release();
      this.#state = 'waiting';
      this.run();
      return;
    }
    this.#fail(
      explain(error, { where: this.#where, via: this.#via, reused: this.#reused, responded: this.#headAt > 0 }),
    );
  }

  /** Something in here threw. */
  fault(error: unknown): void {
    this.#context.reportFault({ scope: 'exchange', id: this.id, error });
    if (this.#state === 'done') return this.#stream.abort();
    try {
      this.#fail(new MtlsdError('INTERNAL', 'mtlsd failed to handle this exchange', { cause: error }));
    } catch (second) {
      this.#context.reportFault({ scope: 'exchange', id: this.id, error: second });
      this.#stream.abort();
      this.#finish(null);
    }
  }

  get #where(): string {
    return this.#connection.authority.text;
  }

  #dispatch(forwarded: ForwardedFields): void {
    const routing = this.#context.router.route(this.#connection, this.#stream, forwarded);
    this.#routing = routing;
    refuseByPolicy(routing);
    const { method, path, hasBody, http, tunnel } = this.#stream;
    forwarded.fields.push('Via', `${http} ${this.#context.via}`);
    const request: UpstreamRequest = {
      method,
      path,
      fields: forwarded.fields,
      host: this.#connection.host ?? forwarded.host ?? this.#stream.host ?? this.#where,
      hasBody,
      teTrailers: forwarded.teTrailers,
      tunnel,
    };
    this.#attempts += 1;
    const pool = this.#context.pools.pool(routing.route);
    this.#ticket = pool.request(http === '2' ? 'h2' : 'h1', request, mayRepeat(method), this);
  }

  /** Lets go of the origin's side. */
  #release(h2Code?: number): void {
    this.#silenceMs = 0;
    this.#ticket?.cancel();
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abort(h2Code);
  }

  #nginxSays(chunk: Buffer): RecordError | null {
    const certificate = this.#via?.record?.client_certificate;
    const said = certificate && refusedByNginx(chunk, certificate, this.#where);
    return said ? { ...said, hint: hintAt(said.hint, this.#where) } : null;
  }

  #fail(error: MtlsdError): void {
    if (this.#state === 'done') return;
    const { code, message, alert } = error;
    const hint = hintAt(error.hint, this.#where);
    const recorded: RecordError = { code, message, hint, alert };
    const h2Code = error.cause instanceof StreamFailure ? error.cause.h2Code : null;
    const stream = this.#stream;
    this.#release();
    if (this.#headAt > 0 || (h2Code !== null && stream.http === '2')) {
      this.#finish(recorded, error.connection);
      stream.abort(h2Code ?? undefined);
      return;
    }
    const answer = answerProblem(error, {
      hint: this.#withCrossSite(hint),
      exchange: this.id,
      authority: this.#where,
      accept: fieldValue(stream.fields, 'accept'),
      certificate: this.#certificateSentence(error),
    });
    this.#status = answer.status;
    const { fieldPolicy } = this.#context;
    if (fieldPolicy !== 'none') this.#responseHead = keepHead(answer.fields, null, fieldPolicy);
    this.#finish(recorded, error.connection);
    stream.respond(answer.status, answer.reason, answer.fields, false, stream.hasBody || this.#context.draining());
    if (stream.method !== 'HEAD') stream.write(answer.body);
    stream.end([]);
  }

  /** A certificate that was kept back from a page is a likely cause of the failure. */
  #withCrossSite(hint: string): string {
    const crossSite = this.#routing?.crossSite;
    if (crossSite?.action !== 'withhold') return hint;
    return `the certificate was withheld from a page of another site; to allow it, add ${crossSite.origin ?? 'its origin'} to cross_site of the entry`;
  }

  #certificateSentence(error: MtlsdError): string | null {
    const facts = this.#via?.record?.client_certificate;
    if (facts) return certificateSentence(facts);
    if (error.certificate) return error.certificate;
    const choice = this.#routing?.decision.choice;
    return choice ? `${choice.entry ? `${choice.entry.name}, not sent` : 'none'} (${choice.reason})` : null;
  }

  #finish(error: RecordError | null, failedConnection: string | null = null): void {
    this.#silenceMs = 0;
    this.#state = 'done';
    this.#context.onRecord(
      recordOf({
        id: this.id,
        startedAt: this.#startedAt,
        started: this.#started,
        sentAt: this.#sentAt,
        headAt: this.#headAt,
        connection: this.#connection,
        stream: this.#stream,
        routing: this.#routing,
        via: this.#via,
        failedConnection,
        reused: this.#reused,
        status: this.#status,
        requestBytes: this.#requestBytes,
        responseBytes: this.#responseBytes,
        logQuery: this.#context.logQuery,
        error,
      }),
      this.#heads(),
    );
  }

  /** Before they are changed for the client. */
  #keepResponse(reason: string | null, received: readonly string[]): void {
    const { fieldPolicy } = this.#context;
    if (fieldPolicy === 'none') return;
    this.#responseHead = responseHead(this.#via?.alpn === 'h2' ? '2' : '1.1', reason, received, fieldPolicy);
  }

  #heads(): RecordedFields | null {
    const { fieldPolicy } = this.#context;
    if (fieldPolicy === 'none') return null;
    return { request: requestHead(this.#connection, this.#stream, fieldPolicy), response: this.#responseHead };
  }
}

const statusWithoutMeaning = (status: number): StreamFailure =>
  new StreamFailure('invalid', `the status ${status} has no meaning (RFC 9110 §15)`);

containMethods(
  Exchange.prototype,
  [
    'onBody',
    'onBodyEnd',
    'onClientDrain',
    'checkTime',
    'onGone',
    'onReached',
    'onInform',
    'onResponse',
    'onData',
    'onEnd',
    'onDrain',
    'onTunnel',
    'onWithdrawn',
    'onError',
  ],
  (exchange, error) => exchange.fault(error),
);
