/**
 * All pools, by route. A store that changes identity or policy of a route retires its pool; those it still decides stay.
 */
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { MtlsdError } from '../../core/errors.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { type Route, routeOf } from './route.ts';

export interface PoolsOptions extends PoolOptions {
  readonly endTunnels: boolean;
}

/** How often idle connections whose time is up are freed; they are not used again in any case. */
const SWEEP_MS = 1_000;

export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: PoolsOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** @throws MtlsdError CLIENT_CERTIFICATE_UNUSABLE where the entry could not be loaded: mtlsd fails closed, before any dial */
  pool(route: Route): Pool {
    const { entry } = route.choice;
    if (entry && entry.identity === null) throw unusable(route);
    let pool = this.#pools.get(route.key);
    if (!pool) {
      pool = new Pool(route, this.#options);
      this.#pools.set(route.key, pool);
    }
    return pool;
  }

  /** Connections made with what `next` no longer decides are not used again. */
  retire(next: StoreSnapshot): void {
    for (const [key, pool] of this.#pools) {
      const { scheme, authority, wish } = pool.route;
      if (scheme === 'http') continue; // no identity and no policy
      let still: string | null = null;
      try {
        const choice = withheldAs(pool.route, next.chooseCertificate(authority, wish));
        still = routeOf({ scheme, authority, wish, choice, policy: next.choosePolicy(authority, wish) }).key;
      } catch {
        // the entry it asked for by name is gone
      }
      if (still === key) continue;
      this.#pools.delete(key);
      pool.retire(this.#options.endTunnels);
    }
  }

  get stats(): { pools: number; connected: number; running: number; pending: number } {
    const sum = { pools: this.#pools.size, connected: 0, running: 0, pending: 0 };
    for (const { stats } of this.#pools.values()) {
      sum.connected += stats.connected;
      sum.running += stats.running;
      sum.pending += stats.pending;
    }
    return sum;
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const pool of this.#pools.values()) pool.destroy();
    this.#pools.clear();
  }

  /** An empty pool is small, but a browser visits thousands of hosts. */
  #sweep(): void {
    for (const [key, pool] of this.#pools) {
      pool.sweep();
      if (pool.empty) this.#pools.delete(key);
    }
  }
}

/** A route without a certificate because a page of another site asked stays one without. */
function withheldAs(route: Route, choice: Route['choice']): Route['choice'] {
  return route.choice.withheld ? { ...choice, entry: null } : choice;
}

function unusable({ authority, choice }: Route): MtlsdError {
  const name = choice.entry?.name ?? '';
  const problem = choice.entry?.problems.find(({ severity }) => severity === 'error');
  return new MtlsdError(
    'CLIENT_CERTIFICATE_UNUSABLE',
    `the certificate ${name} for ${authority.text} can't be used: ${problem?.message ?? 'it could not be loaded'}; nothing was sent to the server`,
    { nothingSent: true, ...(problem && { hint: problem.hint }) },
  );
}
