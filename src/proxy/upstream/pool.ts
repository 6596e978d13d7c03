/**
 * Upstream connections for requests: one undici pool per (authority, identity, policy, protocol), so that no connection can
 * ever serve a request whose identity or policy is another. A store that changes either leaves the old pool to finish what
 * it has and gives it nothing new.
 */
import { type Dispatcher, Pool } from 'undici';
import type { Policy } from '../../certs/store/policy.ts';
import type { CertificateChoice, StoreSnapshot, Wish } from '../../certs/store/snapshot.ts';
import type { Authority } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import { type Dial, type DialPlan, type Upstream, upstreamFor } from './dial.ts';
import type { TcpConnection } from './tcp.ts';

/** What the client speaks decides what is asked of the origin: HTTP/1.1 costs half the CPU, HTTP/2 is kept where it came from. */
export type UpstreamProtocol = 'h1' | 'h2';

const ALPN: Readonly<Record<UpstreamProtocol, readonly string[]>> = {
  h1: ['http/1.1'],
  h2: ['h2', 'http/1.1'],
};

export interface Target {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  readonly wish: Wish;
  readonly choice: CertificateChoice;
  readonly policy: Policy;
  readonly protocol: UpstreamProtocol;
}

export interface PoolsOptions {
  readonly dial: Dial;
  /** For plain HTTP. */
  readonly openTcp: (authority: Authority) => Promise<TcpConnection>;
  readonly responseTimeoutMs: number;
  /** How long an idle connection is kept where the server names no time of its own (Keep-Alive: timeout=). */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
}

/** A connection dialled ahead and not asked for by then is closed: a server's own idle limit is rarely shorter. */
const SPARE_MS = 5_000;

interface Held {
  readonly pool: Pool;
  readonly target: Target;
  /** Dialled while the client's own handshake ran. */
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

  /** @throws MtlsdError CLIENT_CERTIFICATE_UNUSABLE where the chosen entry could not be loaded: fail closed, before any dial */
  dispatcherFor(target: Target): Dispatcher {
    return this.#hold(target).pool;
  }

  /** Dials before the request is there, unless a connection is there already; errors are left for the request to find. */
  warm(target: Target): void {
    const held = this.#hold(target);
    if (target.scheme === 'http' || held.spare || held.pool.stats.connected > 0 || held.pool.stats.pending > 0) return;
    const upstream = this.#options.dial(planOf(target));
    const timer = setTimeout(() => {
      held.spare = null;
      upstream.then(({ socket }) => socket.destroy()).catch(() => {});
    }, SPARE_MS).unref();
    upstream.catch(() => {}); // whoever takes the spare gets it
    held.spare = { upstream, timer };
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
    for (const { pool } of this.#held.values()) {
      sum.connected += pool.stats.connected;
      sum.running += pool.stats.running;
      sum.pending += pool.stats.pending;
    }
    return sum;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const pools = [...this.#held];
    for (const [key, held] of pools) {
      this.#held.delete(key);
      discardSpare(held);
    }
    await Promise.all(pools.map(([, { pool }]) => pool.destroy()));
  }

  #hold(target: Target): Held {
    const { entry } = target.choice;
    if (entry && entry.identity === null) throw unusable(target);
    const key = keyOf(target);
    let held = this.#held.get(key);
    if (!held) {
      held = { pool: this.#open(target, () => this.#held.get(key)), target, spare: null };
      this.#held.set(key, held);
    }
    return held;
  }

  #open(target: Target, self: () => Held | undefined): Pool {
    const connect =
      target.scheme === 'http' ? () => this.#connectPlain(target) : () => this.#connectTls(target, self());
    return new Pool(`${target.scheme}://${target.authority.text}`, {
      allowH2: target.protocol === 'h2',
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
        connect().then(
          ({ socket }) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
  }

  async #connectTls(target: Target, held: Held | undefined): Promise<Upstream> {
    const spare = held?.spare;
    if (held && spare) {
      held.spare = null;
      clearTimeout(spare.timer);
      const upstream = await spare.upstream;
      if (!upstream.socket.destroyed) return upstream;
    }
    return this.#options.dial(planOf(target));
  }

  async #connectPlain(target: Target): Promise<Upstream> {
    const { socket } = await this.#options.openTcp(target.authority);
    return upstreamFor(socket, null);
  }

  #drop(key: string, held: Held): void {
    this.#held.delete(key);
    discardSpare(held);
    held.pool.close().catch(() => {}); // lets running exchanges finish
  }

  #sweep(): void {
    for (const [key, held] of this.#held) {
      const { connected, pending, running } = held.pool.stats;
      if (connected + pending + running === 0 && held.spare === null) this.#drop(key, held);
    }
  }
}

function discardSpare(held: Held): void {
  if (!held.spare) return;
  clearTimeout(held.spare.timer);
  held.spare.upstream.then(({ socket }) => socket.destroy()).catch(() => {});
  held.spare = null;
}

const planOf = ({ authority, choice, policy, wish, protocol }: Target): DialPlan => ({
  authority,
  choice,
  policy,
  override: wish.verification !== undefined,
  alpn: ALPN[protocol],
});

const keyOf = ({ scheme, authority, choice, policy, protocol }: Target): string =>
  `${scheme} ${authority.text} ${protocol} ${policy.id} ${choice.entry ? `${choice.entry.name} ${choice.entry.withholdUnverified} ${choice.entry.identity?.id}` : '-'}`;

export function unusable({ authority, choice }: Pick<Target, 'authority' | 'choice'>): MtlsdError {
  const name = choice.entry?.name ?? '';
  const problem = choice.entry?.problems.find(({ severity }) => severity === 'error');
  return new MtlsdError(
    'CLIENT_CERTIFICATE_UNUSABLE',
    `the certificate ${name} for ${authority.text} can't be used: ${problem?.message ?? 'it could not be loaded'}; nothing was sent to the server`,
    { nothingSent: true, ...(problem && { hint: problem.hint }) },
  );
}
