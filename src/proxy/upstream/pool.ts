/**
 * The connections of one route: no connection can ever serve a request whose identity or policy is another. The pool knows
 * what the origin speaks, dials ahead, and queues; a request whose client left is dropped before a dial.
 */
import { hostField } from '../../core/authority.ts';
import { contained } from '../../core/boundary.ts';
import { MtlsdError } from '../../core/errors.ts';
import { type UpstreamConnection, plainConnection } from './connection.ts';
import type { Dial } from './dial.ts';
import { H1Connection, type H1Options } from './h1.ts';
import { H2Session, MAX_STREAMS } from './h2.ts';
import type { Route } from './route.ts';
import type { TcpConnection } from './tcp.ts';
import type { UpstreamEvents, UpstreamRequest } from './stream.ts';

export interface PoolOptions extends H1Options {
  readonly dial: Dial;
  /** For plain HTTP: to the origin, or to a proxy that takes the whole URI. */
  readonly openPlain: (authority: Route['authority']) => Promise<TcpConnection>;
  /** Whether that is a proxy: then the fields that it needs. */
  readonly plainProxy: (authority: Route['authority']) => readonly string[] | null;
  readonly maxConnections: number;
  /** How long a request waits for a free connection; 0 for ever. A dial has time-outs of its own. */
  readonly waitMs: number;
}

/** What the client speaks decides what is asked of the origin: HTTP/1.1 costs half the CPU, HTTP/2 is kept where it came from. */
export type Version = 'h1' | 'h2';

const ALPN: Readonly<Record<Version, readonly string[]>> = { h1: ['http/1.1'], h2: ['h2', 'http/1.1'] };

/** A request that waits for a connection. */
export interface Ticket {
  /** The client left; does nothing once the request was written. */
  cancel(): void;
}

interface Waiting extends Ticket {
  readonly request: UpstreamRequest;
  readonly events: UpstreamEvents;
  version: Version;
  /** May be written before the server has accepted our certificate: to repeat it does no harm (RFC 9110 §9.2.2). */
  readonly repeatable: boolean;
  readonly since: number;
}

/** More than this is an overload that no origin catches up with. */
const MOST_WAITING = 10_000;
/** The failure of a dial ahead answers a request that arrives within this time. */
const AHEAD_MS = 5_000;

interface DialInFlight {
  readonly version: Version;
  readonly since: number;
  readonly abort: AbortController;
  readonly ahead: boolean;
}

export class Pool {
  readonly route: Route;
  readonly #options: PoolOptions;
  readonly #h1 = new Set<H1Connection>();
  readonly #idle: H1Connection[] = [];
  readonly #h2 = new Set<H2Session>();
  readonly #dials = new Set<DialInFlight>();
  /** In the order of arrival; a request that is served, answered or gone is removed. */
  readonly #waiting = new Set<Waiting>();
  /** What the origin was found not to speak. */
  #lacks: Version | null = null;
  /** Streams that the origin takes at once on a session, as it said last: more would be refused before it says it again. */
  #streams = MAX_STREAMS;
  /** Of a dial ahead that no request waited for: the request that comes would dial and be recorded a second time. */
  #failure: MtlsdError | null = null;
  #state: 'open' | 'closed' = 'open';
  /** A dial began in this turn of the event loop. */
  #paced = false;
  readonly #nextTurn: () => void;

  constructor(route: Route, options: PoolOptions) {
    this.route = route;
    this.#options = options;
    this.#nextTurn = contained('upstream', options.reportFault, () => {
      this.#paced = false;
      this.#dialForWaiting();
    });
  }

  get stats(): { connected: number; running: number; pending: number } {
    let running = 0;
    for (const connection of this.#h1) if (connection.busy) running += 1;
    for (const session of this.#h2) running += session.streams;
    return { connected: this.#h1.size + this.#h2.size, running, pending: this.#waiting.size };
  }

  get empty(): boolean {
    return this.#h1.size + this.#h2.size + this.#dials.size + this.#waiting.size === 0;
  }

  /** Whether the server of one of its connections was revoked since. */
  get revoked(): boolean {
    return [...this.#h1, ...this.#h2].some(({ upstream }) => upstream.standing.revoked());
  }

  /** Sends a request on a connection that was made for this route, an idle one or a new one. */
  request(version: Version, asked: UpstreamRequest, repeatable: boolean, events: UpstreamEvents): Ticket {
    const request = this.route.scheme === 'http' ? this.#inTheClear(asked) : asked;
    const waiting: Waiting = {
      request,
      events,
      version: this.#spoken(version),
      repeatable: repeatable && !request.hasBody && request.tunnel === null,
      since: performance.now(),
      cancel: () => {
        if (this.#waiting.delete(waiting)) this.#abortSurplus();
      },
    };
    if (this.#waiting.size === 0 && this.#serve(waiting)) return waiting;
    if (this.#waiting.size >= MOST_WAITING) {
      const where = this.route.authority.text;
      events.onError(new MtlsdError('OVERLOADED', `${MOST_WAITING} requests wait for a connection to ${where}`));
      return waiting;
    }
    const failure = this.#failure;
    if (failure) {
      this.#failure = null;
      queueMicrotask(() => events.onError(failure));
      return waiting;
    }
    this.#waiting.add(waiting);
    this.#dialForWaiting();
    return waiting;
  }

  /** To a proxy, a request names its whole target (RFC 9112 §3.2.2). */
  #inTheClear(request: UpstreamRequest): UpstreamRequest {
    const { authority } = this.route;
    const fields = this.#options.plainProxy(authority);
    if (!fields) return request;
    const path = `http://${hostField(authority, 'http')}${request.path === '*' ? '' : request.path}`;
    return { ...request, path, fields: [...request.fields, ...fields] };
  }

  /** Dials before the request is there, unless a connection is there already; errors are left for the request to find. */
  warm(version: Version): void {
    if (this.#h1.size + this.#h2.size + this.#dials.size > 0 || this.#failure) return;
    this.#dial(this.#spoken(version), true);
  }

  /** What the origin is known to lack is not asked for; in the clear there is HTTP/1.1 alone. */
  #spoken(wanted: Version): Version {
    if (this.route.scheme === 'http') return 'h1';
    return this.#lacks === wanted ? other(wanted) : wanted;
  }

  /** Takes no more requests: those that wait are decided again, and those under way finish. */
  retire(): void {
    this.#state = 'closed';
    this.#closeAll();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const each of waiting) each.events.onWithdrawn();
  }

  destroy(): void {
    this.#state = 'closed';
    this.#closeAll();
    for (const connection of this.#h1) connection.abort();
    for (const session of this.#h2) session.destroy();
  }

  /** Connections that carry nothing now. */
  get idle(): (H1Connection | H2Session)[] {
    return [...this.#idle, ...[...this.#h2].filter(({ streams }) => streams === 0)];
  }

  /** Frees idle connections whose time is up, and ends waits whose time is. */
  sweep(): void {
    for (const session of this.#h2) if (session.upstream.standing.lapsed()) session.close();
    for (const connection of this.#idle.splice(0)) {
      if (connection.ready) this.#idle.push(connection);
      else connection.close();
    }
    const { waitMs } = this.#options;
    if (waitMs === 0 || this.#waiting.size === 0 || this.#dials.size > 0) return;
    const latest = performance.now() - waitMs;
    const late = [...this.#waiting].filter(({ since }) => since < latest);
    const { message, hint } = this.#whyNone();
    this.#fail(late, new MtlsdError('RESPONSE_TIMEOUT', message, { hint, nothingSent: true }));
  }

  /** Of requests that waited for as long as they may. */
  #whyNone(): { message: string; hint: string } {
    const { waitMs, maxConnections } = this.#options;
    const where = this.route.authority.text;
    const time = `${waitMs / 1000} s`;
    const again = 'send it again later, or over HTTP/1.1; ask the operator of the server';
    for (const { limit, takesTunnels } of this.#h2) {
      if (takesTunnels === null) return { message: `${where} sent no HTTP/2 settings for ${time}`, hint: again };
      if (limit > 0) continue;
      const message = `${where} allowed no HTTP/2 streams for ${time} (SETTINGS_MAX_CONCURRENT_STREAMS is 0)`;
      return { message, hint: again };
    }
    return {
      message: `all ${maxConnections} connections to ${where} were busy for ${time}`,
      hint: 'raise limits.upstream_connections or timeouts.response in mtlsd.yaml',
    };
  }

  #closeAll(): void {
    for (const { abort } of this.#dials) abort.abort();
    this.#idle.length = 0;
    for (const connection of this.#h1) connection.close();
    for (const session of this.#h2) session.close();
  }

  /** @returns whether it was written, or failed */
  #serve(waiting: Waiting): boolean {
    if (waiting.version === 'h2') {
      const session = this.#sessionFor(waiting);
      if (!session) return false;
      this.#waiting.delete(waiting);
      session.send(waiting.request, waiting.events);
      return true;
    }
    const connection = this.#idleFor(waiting);
    if (!connection) return false;
    this.#waiting.delete(waiting);
    try {
      connection.send(waiting.request, waiting.events);
    } catch (error) {
      if (!(error instanceof MtlsdError)) throw error;
      waiting.events.onError(error);
    }
    return true;
  }

  /** The one used last: it is the least likely to be closed by the server this moment. */
  #idleFor({ repeatable }: Waiting): H1Connection | null {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i] as H1Connection;
      if (!connection.ready) {
        this.#idle.splice(i, 1);
        connection.close();
      } else if (repeatable || connection.upstream.settlement !== 'undecided') {
        this.#idle.splice(i, 1);
        return connection;
      }
    }
    return null;
  }

  /** null: wait for a session, for its settings, or until the server accepts our certificate. */
  #sessionFor(waiting: Waiting): H2Session | null {
    for (const session of this.#h2) {
      if (!session.room) continue;
      if (!waiting.repeatable && session.upstream.settlement === 'undecided') return null;
      if (waiting.request.tunnel === null || session.takesTunnels === true) return session;
      // Extended CONNECT where the origin takes it (RFC 8441 §3), else an Upgrade on a connection of its own.
      if (session.takesTunnels === false) waiting.version = 'h1';
      return null;
    }
    return null;
  }

  /** In the order of arrival, as far as there are connections. */
  #serveWaiting(): void {
    for (const waiting of this.#waiting) {
      if (this.#idle.length === 0 && this.#h2.size === 0) break;
      if (waiting.version === 'h2' || this.#idle.length > 0) this.#serve(waiting);
    }
    this.#dialForWaiting();
  }

  /** As many dials as requests that wait for one, one in each turn, and no more than the settings allow. */
  #dialForWaiting(): void {
    let room = this.#options.maxConnections - this.#h1.size - this.#h2.size - this.#dials.size;
    if (this.#paced || this.#state === 'closed' || this.#waiting.size === 0) return;
    if (room <= 0) return this.#makeRoom();
    const missing = { h1: 0, h2: 0 };
    for (const { version } of this.#waiting) missing[version] += 1;
    const dialling = { h1: 0, h2: 0 };
    for (const { version } of this.#dials) dialling[version] += 1;
    // Whether the origin agrees on HTTP/2 is known only after the first dial, and then one session carries many.
    const suffices = [...this.#h2].some((session) => session.suffices);
    if (missing.h2 > 0 && dialling.h2 === 0 && !suffices) {
      this.#dial('h2', false);
      room -= 1;
    }
    const undecided = this.#idle.filter(({ upstream }) => upstream.settlement === 'undecided').length;
    if (Math.min(room, missing.h1 - dialling.h1 - undecided) <= 0) return;
    this.#dial('h1', false);
    // One begins in each turn of the event loop: a crowd of handshakes would hold up all other requests, and many of those that
    // wait are served by connections that others are done with.
    this.#paced = true;
    setImmediate(this.#nextTurn);
  }

  /** At the cap, an idle connection of the version that no request waits for is closed. */
  #makeRoom(): void {
    const idle = this.idle.filter(({ upstream }) => upstream.settlement !== 'undecided');
    if (idle.length === 0) return;
    const forH2 = [...this.#waiting].some(({ version }) => version === 'h2');
    idle.find((connection) => connection instanceof H1Connection || !forH2)?.close();
  }

  #abortSurplus(): void {
    const dials = [...this.#dials].filter(({ ahead }) => !ahead);
    for (const dial of dials.slice(this.#waiting.size)) dial.abort.abort();
  }

  #dial(version: Version, ahead: boolean): void {
    const dial: DialInFlight = { version, since: performance.now(), abort: new AbortController(), ahead };
    this.#dials.add(dial);
    this.#open(version, dial.abort.signal)
      .then(
        (upstream) => {
          this.#dials.delete(dial);
          this.#connected(upstream, version);
        },
        (error: unknown) => {
          this.#dials.delete(dial);
          this.#failed(error, dial);
        },
      )
      .catch((error: unknown) => this.#options.reportFault({ scope: 'upstream', id: null, error }));
  }

  async #open(version: Version, signal: AbortSignal): Promise<UpstreamConnection> {
    const { scheme, authority, choice, policy, wish } = this.route;
    if (scheme === 'http') return plainConnection((await this.#options.openPlain(authority)).socket);
    const override = wish.verification !== undefined;
    return this.#options.dial({ authority, choice, policy, override, alpn: ALPN[version] }, signal);
  }

  #connected(upstream: UpstreamConnection, version: Version): void {
    if (this.#state === 'closed') return upstream.end();
    // By a CRL, or a second, that came after its verdict: waiting requests get another verdict.
    if (upstream.standing.revoked() || upstream.standing.lapsed()) {
      upstream.end();
      return this.#serveWaiting();
    }
    if (upstream.socket.destroyed) {
      upstream.lost(null);
      this.#failOldest(
        upstream.refusal ?? new MtlsdError('CONNECTION_CLOSED', `${this.route.authority.text} closed the connection`),
      );
      return;
    }
    const negotiated = upstream.alpn === 'h2' ? 'h2' : 'h1';
    if (version === 'h2' && negotiated === 'h1') this.#learn('h2');
    if (negotiated === 'h2') {
      this.#h2.add(
        new H2Session(upstream, this.#streams, this.#options, {
          onRoom: (session) => {
            this.#streams = session.limit;
            this.#serveWaiting();
          },
          onClosed: (session) => {
            this.#h2.delete(session);
            if (session.takesTunnels === null) this.#failWithoutSettings();
            this.#lost(upstream);
          },
        }),
      );
    } else {
      const connection = new H1Connection(upstream, this.#options, {
        onIdle: (idle) => {
          this.#idle.push(idle);
          this.#serveWaiting();
        },
        onClosed: (closed) => {
          this.#h1.delete(closed);
          const at = this.#idle.indexOf(closed);
          if (at !== -1) this.#idle.splice(at, 1);
          this.#lost(upstream);
        },
      });
      this.#h1.add(connection);
      this.#idle.push(connection);
    }
    upstream.whenSettled(() => this.#serveWaiting());
    this.#serveWaiting();
  }

  /** A connection ended; a refusal before anything was written is the answer to the request that waits longest. */
  #lost(upstream: UpstreamConnection): void {
    const { refusal } = upstream;
    if (refusal && upstream.uses === 0) this.#failOldest(refusal);
    this.#serveWaiting();
  }

  /** A tunnel waits for a session's settings: dialled again, the next one may end without them too, and so on for ever. */
  #failWithoutSettings(): void {
    const waiting = [...this.#waiting].find(({ version, request }) => version === 'h2' && request.tunnel !== null);
    if (!waiting) return;
    const where = this.route.authority.text;
    const message = `${where} closed the HTTP/2 connection before it sent its settings`;
    this.#fail([waiting], new MtlsdError('CONNECTION_CLOSED', message, { nothingSent: true }));
  }

  /** The origin turned out not to speak that version: requests that waited for it take the other. */
  #learn(lacks: Version): void {
    this.#lacks = lacks;
    for (const waiting of this.#waiting) waiting.version = other(lacks);
  }

  #failed(error: unknown, dial: DialInFlight): void {
    if (this.#state === 'closed') return;
    if (dial.abort.signal.aborted) return this.#serveWaiting();
    if (!(error instanceof MtlsdError)) {
      this.#options.reportFault({ scope: 'upstream', id: null, error });
      error = new MtlsdError('INTERNAL', String(error), { cause: error });
    }
    const failure = error as MtlsdError;
    // no_application_protocol (RFC 7301 §3.2): the origin has no HTTP/1.1.
    if (failure.alert?.number === 120 && dial.version === 'h1' && this.#lacks === null) {
      this.#learn('h1');
      this.#serveWaiting();
      return;
    }
    if (this.#waiting.size === 0) {
      if (dial.ahead) this.#remember(failure);
      return;
    }
    // With no connection at all, the origin is unreachable for all requests that waited when the dial began.
    const all = this.#h1.size + this.#h2.size === 0;
    const hit = [...this.#waiting]
      .filter(({ version }) => version === dial.version)
      .filter((waiting, index) => index === 0 || (all && waiting.since <= dial.since));
    this.#fail(hit, failure);
    this.#serveWaiting();
  }

  #failOldest(failure: MtlsdError): void {
    const [oldest] = this.#waiting;
    if (oldest) this.#fail([oldest], failure);
    else this.#remember(failure);
  }

  #fail(hit: readonly Waiting[], failure: MtlsdError): void {
    for (const waiting of hit) this.#waiting.delete(waiting);
    for (const { events } of hit) events.onError(failure);
  }

  #remember(failure: MtlsdError): void {
    this.#failure = failure;
    setTimeout(() => {
      if (this.#failure === failure) this.#failure = null;
    }, AHEAD_MS).unref();
  }
}

const other = (version: Version): Version => (version === 'h1' ? 'h2' : 'h1');
