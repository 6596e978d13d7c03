/**
 * All pools, by route. A store that changes identity or policy of a route retires its pool; those it still decides stay.
 */
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { requireUsable, type Route, stillDecided } from './route.ts';

/** How often idle connections whose time is up are freed; they are not used again in any case. */
const SWEEP_MS = 1_000;

/** Over all pools, since each takes about 100 KB: as many as a browser has and a busy service needs; the oldest go first. */
const MOST_IDLE = 512;

export class Pools {
  readonly #options: PoolOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** @throws MtlsdError CLIENT_CERTIFICATE_UNUSABLE */
  pool(route: Route): Pool {
    requireUsable(route);
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
      if (stillDecided(pool.route, next)) continue;
      this.#pools.delete(key);
      pool.retire();
    }
  }

  /** Connections to a server that a CRL lists since are not used again. */
  retireRevoked(): void {
    for (const [key, pool] of this.#pools) {
      if (!pool.revoked) continue;
      this.#pools.delete(key);
      pool.retire();
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
    const idle: Pool['idle'] = [];
    for (const [key, pool] of this.#pools) {
      pool.sweep();
      if (pool.empty) this.#pools.delete(key);
      else idle.push(...pool.idle);
    }
    if (idle.length <= MOST_IDLE) return;
    idle.sort((one, other) => other.idleSince - one.idleSince);
    for (const connection of idle.slice(MOST_IDLE)) connection.close();
  }
}
