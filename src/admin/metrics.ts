/** Metrics for Prometheus: counters of records, and gauges that are read at each scrape. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import { FAULT_SCOPES, type FaultScope } from '../core/boundary.ts';
import type { ConnectionRecord, ExchangeRecord } from '../inspect/records/types.ts';

export interface MetricsSources {
  readonly version: string;
  readonly store: () => StoreSnapshot;
  readonly clientConnections: () => number;
  readonly pools: () => {
    readonly pools: number;
    readonly connected: number;
    readonly running: number;
    readonly pending: number;
  };
  readonly leaves: () => { readonly size: number; readonly minted: number };
}

export interface Metrics {
  connection(record: ConnectionRecord): void;
  exchange(record: ExchangeRecord): void;
  refused(code: string): void;
  tunnel(failed: boolean): void;
  reload(ok: boolean): void;
  fault(scope: FaultScope): void;
  /** @param name of the entry */
  renewal(name: string, ok: boolean): void;
  readonly contentType: string;
  text(): Promise<string>;
}

/** Seconds: from a pooled answer of a neighbour to the end of people's patience. */
const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createMetrics(sources: MetricsSources): Metrics {
  // Two daemons in one process, as in tests, would share the counts of prom-client's global registry.
  const registry = new Registry();
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `mtlsd_${name}`, help, labelNames: [...labelNames], registers: [registry] });
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (gauge: Gauge<L>) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        read(this);
      },
    });

  const handshakes = counter('tls_handshakes_total', 'TLS handshakes with origins, by outcome and error code.', [
    'outcome',
    'code',
    'certificate_sent',
  ]);
  const exchanges = counter('exchanges_total', 'Requests, by class of status and error code.', ['status', 'code']);
  const unverified = counter('exchanges_unverified_total', 'Requests let through to a server with a problem.');
  const refusals = counter('refused_total', 'What was refused before there was an exchange, by error code.', ['code']);
  const tunnels = counter('tunnels_total', 'Connections passed through untouched, by outcome.', ['outcome']);
  const reloads = counter('store_reloads_total', 'Reloads of the store, by outcome.', ['outcome']);
  const faults = counter('faults_total', 'Faults of mtlsd itself, by what they ended.', ['scope']);
  const renewals = counter('certificate_renewals_total', 'Renewals of certificates, by entry and outcome.', [
    'name',
    'outcome',
  ]);
  const durations = new Histogram({
    name: 'mtlsd_exchange_duration_seconds',
    help: 'From the head of a request to the end of its response.',
    buckets: DURATIONS,
    registers: [registry],
  });
  for (const scope of FAULT_SCOPES) faults.inc({ scope }, 0);
  for (const outcome of ['loaded', 'rejected']) reloads.inc({ outcome }, 0);

  gauge('mtlsd_build_info', 'Always 1; the version is its label.', ['version', 'node'], (g) =>
    g.set({ version: sources.version, node: process.versions.node }, 1),
  );
  gauge('mtlsd_client_connections', 'Client connections open now.', [], (g) => g.set(sources.clientConnections()));
  gauge('mtlsd_upstream_pools', 'Pools of connections to origins.', [], (g) => g.set(sources.pools().pools));
  gauge('mtlsd_upstream_connections', 'Connections to origins open now.', [], (g) => g.set(sources.pools().connected));
  gauge('mtlsd_upstream_requests', 'Requests under way, and waiting for a connection.', ['state'], (g) => {
    const { running, pending } = sources.pools();
    g.set({ state: 'running' }, running);
    g.set({ state: 'waiting' }, pending);
  });
  gauge('mtlsd_leaf_certificates', 'Leaf certificates kept for hosts.', [], (g) => g.set(sources.leaves().size));
  gauge('mtlsd_leaf_certificates_minted', 'Leaf certificates made since the start.', [], (g) =>
    g.set(sources.leaves().minted),
  );
  gauge('mtlsd_certificates', 'Entries of the store, by state.', ['state'], (g) => {
    const { entries } = sources.store();
    const enabled = entries.filter((entry) => entry.enabled);
    const usable = enabled.filter(({ identity }) => identity !== null).length;
    g.set({ state: 'usable' }, usable);
    g.set({ state: 'unusable' }, enabled.length - usable);
    g.set({ state: 'disabled' }, entries.length - enabled.length);
  });
  gauge(
    'mtlsd_certificate_expiry_seconds',
    'Seconds until an enabled entry expires; negative after that.',
    ['name'],
    (g) => {
      g.reset();
      for (const { name, enabled, identity } of sources.store().entries)
        if (enabled && identity) g.set({ name }, (identity.leaf.validToDate.getTime() - Date.now()) / 1000);
    },
  );
  gauge('mtlsd_store_generation', 'Counts up with every change of the store that took effect.', [], (g) =>
    g.set(sources.store().generation),
  );
  gauge('process_start_time_seconds', 'When the process started, Unix time.', [], (g) =>
    g.set(Date.now() / 1000 - process.uptime()),
  );
  gauge('process_resident_memory_bytes', 'Resident memory.', [], (g) => g.set(process.memoryUsage.rss()));
  gauge('process_cpu_seconds_total', 'CPU time used, user and system.', [], (g) => {
    const { user, system } = process.cpuUsage();
    g.set((user + system) / 1e6);
  });

  return {
    connection({ event, error, client_certificate: { sent } }) {
      handshakes.inc({
        outcome: event === 'tls.connected' ? 'connected' : 'failed',
        code: error?.code ?? '',
        certificate_sent: sent ? 'yes' : 'no',
      });
    },
    exchange({ status, error, authorized, ms }) {
      exchanges.inc({ status: status === null ? '' : `${Math.floor(status / 100)}xx`, code: error?.code ?? '' });
      if (authorized === false && error === null) unverified.inc();
      durations.observe(ms.total / 1000);
    },
    refused: (code) => refusals.inc({ code }),
    tunnel: (failed) => tunnels.inc({ outcome: failed ? 'failed' : 'ended' }),
    fault: (scope) => faults.inc({ scope }),
    renewal: (name, ok) => renewals.inc({ name, outcome: ok ? 'renewed' : 'failed' }),
    reload: (ok) => reloads.inc({ outcome: ok ? 'loaded' : 'rejected' }),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
