/**
 * Upstream connections for requests: one pool per (authority, identity, policy, protocol), so that no connection can ever
 * serve a request whose identity or policy is another. A store that changes either leaves the old pool to finish what it has
 * and gives it nothing new.
 */
import { Pool } from 'undici';
import type { Policy } from '../../certs/store/policy.ts';
import type { CertificateChoice, StoreSnapshot, Wish } from '../../certs/store/snapshot.ts';
import { type Authority, hostField } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import { type Dial, type Upstream, upstreamFor } from './dial.ts';
import type { DialPlan } from './draft.ts';
import { dispatchH1, forUndici } from './h1.ts';
import { H2Sessions } from './h2.ts';
import type { RequestHandler, UpstreamRequest } from './request.ts';
import { dispatchSingle } from './single.ts';
import type { TcpConnection } from './tcp.ts';

/** What the client speaks decides what is asked of the origin: HTTP/1.1 costs half the CPU, HTTP/2 is kept where it came from. */
export type UpstreamProtocol = 'h1' | 'h2';

const H1_ALPN = ['http/1.1'];
const H2_ALPN = ['h2', 'http/1.1'];

/** Where a request goes, and how: what decides which connections may carry it. */
interface Route {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  readonly wish: Wish;
  readonly choice: CertificateChoice;
  readonly policy: Policy;
  readonly protocol: UpstreamProtocol;
}

/** Made once for all requests of a connection that agree in it. */
export interface Target extends Route {
  /** Two targets share connections where their keys are equal, and nowhere else. */
  readonly key: string;
}

export const targetOf = (route: Route): Target => ({ ...route, key: keyOf(route) });

export interface PoolsOptions {
  readonly dial: Dial;
  /** For plain HTTP: to the origin, or to a proxy that takes the whole URI. */
  readonly openPlain: (authority: Authority) => Promise<TcpConnection>;
  /** Whether it is a proxy: then the fields that it needs (RFC 9112 §3.2.2). */
  readonly plainProxy: (authority: Authority) => readonly string[] | null;
  readonly responseTimeoutMs: number;
  /** How long an idle connection is kept where the server names no time of its own (Keep-Alive: timeout=). */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
}

/** A connection dialled ahead and not asked for by then is closed: a server's own idle limit is rarely shorter. */
const SPARE_MS = 5_000;

interface Held {
  readonly target: Target;
  readonly pool: Pool;
  readonly h2: H2Sessions;
  /** The origin agreed on HTTP/1.1 where HTTP/2 was on offer. */
  h1Only: boolean;
  /** The one dial under way for HTTP/2: whether it agrees on that is known only then. */
  opening: Promise<void> | null;
  /** A request waits for `opening`. */
  claimed: boolean;
  /** Of a dial ahead that no request waited for. */
  failure: Error | null;
  /** Dialled while the client's own handshake ran, or found to speak HTTP/1.1. */
  spare: { readonly upstream: Promise<Upstream>; readonly timer: NodeJS.Timeout } | null;
}

export class Pools {
  readonly #options: PoolsOptions;
  readonly #held = new Map<string, Held>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: PoolsOptions) {
    this.#options = options;
    // An empty pool is small, but a browser visits thousands of hosts.
    this.#sweeper = setInterval(() => this.#sweep(), 60_000).unref();
  }

  /**
   * Sends a request on a connection that was made for this target, an idle one or a new one.
   * @throws MtlsdError CLIENT_CERTIFICATE_UNUSABLE where the chosen entry could not be loaded: fail closed, before any dial
   */
  dispatch(target: Target, request: UpstreamRequest, handler: RequestHandler): void {
    const held = this.#hold(target);
    if (target.protocol === 'h2' && !held.h1Only) this.#dispatchH2(held, request, handler);
    else this.#dispatchH1(held, request, handler);
  }

  /** Dials before the request is there, unless a connection is there already; errors are left for the request to find. */
  warm(target: Target): void {
    if (target.scheme === 'http') return;
    const held = this.#hold(target);
    if (target.protocol === 'h2' && !held.h1Only) {
      if (!held.h2.hasRoom && !held.opening) this.#openAhead(held);
      return;
    }
    if (held.spare || held.pool.stats.connected > 0 || held.pool.stats.pending > 0) return;
    keepSpare(held, this.#options.dial(planOf(target, H1_ALPN)));
  }

  /** Connections made with what `next` no longer decides are not used again; those it still decides stay. */
  retire(next: StoreSnapshot): void {
    for (const [key, held] of this.#held) {
      const { scheme, authority, wish, protocol } = held.target;
      if (scheme === 'http') continue; // no identity and no policy
      let still: string | null = null;
      try {
        const choice = next.chooseCertificate(authority, wish);
        still = keyOf({ scheme, authority, wish, choice, policy: next.choosePolicy(authority, wish), protocol });
      } catch {
        // the entry it asked for by name is gone
      }
      if (still !== key) this.#drop(key, held);
    }
  }

  get stats(): { pools: number; connected: number; running: number; pending: number } {
    const sum = { pools: this.#held.size, connected: 0, running: 0, pending: 0 };
    for (const { pool, h2 } of this.#held.values()) {
      sum.connected += pool.stats.connected + h2.connected;
      sum.running += pool.stats.running + h2.running;
      sum.pending += pool.stats.pending;
    }
    return sum;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const all = [...this.#held];
    for (const [key, held] of all) {
      this.#held.delete(key);
      discardSpare(held);
      held.h2.destroy();
    }
    await Promise.all(all.map(([, { pool }]) => pool.destroy()));
  }

  #hold(target: Target): Held {
    const { entry } = target.choice;
    if (entry && entry.identity === null) throw unusable(target);
    let held = this.#held.get(target.key);
    if (!held) {
      const made: Held = {
        target,
        pool: this.#makePool(target, () => made),
        h2: new H2Sessions(),
        h1Only: false,
        opening: null,
        claimed: false,
        failure: null,
        spare: null,
      };
      held = made;
      this.#held.set(target.key, held);
    }
    return held;
  }

  #dispatchH1(held: Held, request: UpstreamRequest, handler: RequestHandler): void {
    const { scheme, authority } = held.target;
    const proxyFields = scheme === 'http' ? this.#options.plainProxy(authority) : null;
    const sent = proxyFields ? { ...request, fields: request.fields.concat(proxyFields) } : request;
    const path = proxyFields
      ? `http://${hostField(authority, 'http')}${request.path === '*' ? '' : request.path}`
      : request.path;
    if (request.tunnel === null && !request.announcesTrailers && request.path !== '*') {
      dispatchH1(held.pool, `${scheme}://${authority.text}`, sent, path, handler);
      return;
    }
    this.#connect(held).then(
      (upstream) => {
        if (handler.wanted) dispatchSingle(upstream, sent, path, handler);
        else upstream.socket.destroy();
      },
      (error: Error) => handler.onResponseError(error),
    );
  }

  #dispatchH2(held: Held, request: UpstreamRequest, handler: RequestHandler): void {
    if (held.h2.hasRoom) {
      if (request.tunnel === null) held.h2.dispatch(request, handler);
      else void this.#dispatchTunnel(held, request, handler);
      return;
    }
    const { failure } = held;
    if (failure) {
      held.failure = null;
      queueMicrotask(() => handler.onResponseError(failure));
      return;
    }
    held.claimed = true;
    this.#open(held).then(
      () => {
        if (!handler.wanted) return;
        if (held.h1Only) this.#dispatchH1(held, request, handler);
        else this.#dispatchH2(held, request, handler);
      },
      (error: Error) => handler.onResponseError(error),
    );
  }

  /** A failure is kept for the request that comes, which else would dial and be recorded a second time. */
  #openAhead(held: Held): void {
    held.claimed = false;
    this.#open(held).catch((error: Error) => {
      if (held.claimed) return;
      held.failure = error;
      setTimeout(() => {
        held.failure = null;
      }, SPARE_MS).unref();
    });
  }

  /** Extended CONNECT where the origin takes it, else an Upgrade on a connection of its own. */
  async #dispatchTunnel(held: Held, request: UpstreamRequest, handler: RequestHandler): Promise<void> {
    if ((await held.h2.takesTunnels()) && held.h2.hasRoom) held.h2.dispatch(request, handler);
    else this.#dispatchH1(held, request, handler);
  }

  /** One more connection that may speak HTTP/2; those who wait meanwhile share the flight. */
  #open(held: Held): Promise<void> {
    held.opening ??= this.#options
      .dial(planOf(held.target, H2_ALPN))
      .then((upstream) => {
        if (upstream.record.tls?.alpn === 'h2') {
          held.h2.add(upstream);
          return;
        }
        held.h1Only = true;
        keepSpare(held, Promise.resolve(upstream));
      })
      .finally(() => {
        held.opening = null;
      });
    return held.opening;
  }

  #makePool(target: Target, self: () => Held): Pool {
    return new Pool(`${target.scheme}://${target.authority.text}`, {
      allowH2: false,
      connections: this.#options.maxConnections,
      // undici writes one request at a time to an HTTP/1.1 connection: pipelining makes one slow response everybody's.
      pipelining: 1,
      keepAliveTimeout: this.#options.keepAliveMs,
      keepAliveMaxTimeout: 600_000,
      headersTimeout: this.#options.responseTimeoutMs,
      bodyTimeout: 0,
      maxHeaderSize: 256 * 1024,
      strictContentLength: true,
      connect: (_options, callback) => {
        this.#connect(self()).then(
          ({ socket }) => callback(null, forUndici(socket)),
          (error: Error) => callback(error, null),
        );
      },
    });
  }

  /** A connection for HTTP/1.1: the spare one, or a new one. */
  async #connect(held: Held): Promise<Upstream> {
    const { target, spare } = held;
    if (target.scheme === 'http') {
      const { socket } = await this.#options.openPlain(target.authority);
      return upstreamFor(socket, null);
    }
    if (spare) {
      held.spare = null;
      clearTimeout(spare.timer);
      const upstream = await spare.upstream;
      if (!upstream.socket.destroyed) return upstream;
    }
    return this.#options.dial(planOf(target, H1_ALPN));
  }

  #drop(key: string, held: Held): void {
    this.#held.delete(key);
    discardSpare(held);
    held.h2.close();
    held.pool.close().catch(() => {}); // lets running exchanges finish
  }

  #sweep(): void {
    for (const [key, held] of this.#held) {
      const { connected, pending, running } = held.pool.stats;
      if (connected + pending + running + held.h2.connected === 0 && !held.spare && !held.opening)
        this.#drop(key, held);
    }
  }
}

function keepSpare(held: Held, upstream: Promise<Upstream>): void {
  discardSpare(held);
  const spare = { upstream, timer: setTimeout(discardSpare, SPARE_MS, held).unref() };
  upstream.catch(() => {}); // whoever takes the spare gets it
  held.spare = spare;
}

function discardSpare(held: Held): void {
  if (!held.spare) return;
  clearTimeout(held.spare.timer);
  held.spare.upstream.then(({ socket }) => socket.destroy()).catch(() => {});
  held.spare = null;
}

const planOf = ({ authority, choice, policy, wish }: Target, alpn: readonly string[]): DialPlan => ({
  authority,
  choice,
  policy,
  override: wish.verification !== undefined,
  alpn,
});

const keyOf = ({ scheme, authority, choice: { entry }, policy, protocol }: Route): string =>
  `${scheme} ${authority.text} ${protocol} ${policy.id} ${entry ? `${entry.name} ${entry.withholdUnverified} ${entry.identity?.id}` : '-'}`;

function unusable({ authority, choice }: Target): MtlsdError {
  const name = choice.entry?.name ?? '';
  const problem = choice.entry?.problems.find(({ severity }) => severity === 'error');
  return new MtlsdError(
    'CLIENT_CERTIFICATE_UNUSABLE',
    `the certificate ${name} for ${authority.text} can't be used: ${problem?.message ?? 'it could not be loaded'}; nothing was sent to the server`,
    { nothingSent: true, ...(problem && { hint: problem.hint }) },
  );
}
