/** The composition root: the only place that wires the parts; start, drain, stop. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createMetrics } from './admin/metrics.ts';
import { startMetricsServer } from './admin/metrics-server.ts';
import { adminToken } from './admin/token.ts';
import { createUsage } from './admin/usage.ts';
import { type Decision, withinReach } from './certs/decide.ts';
import { leafCache } from './certs/local-ca/leaf-cache.ts';
import { openLocalCa } from './certs/local-ca/local-ca.ts';
import { expiringCa, signerFor } from './certs/local-ca/state.ts';
import { publishCa } from './certs/local-ca/public-files.ts';
import { Renewer } from './certs/renewal/renewer.ts';
import { CrlFetcher } from './certs/revocation/fetcher.ts';
import { ExpiryWatch } from './certs/store/expiry.ts';
import type { StoreSnapshot } from './certs/store/snapshot.ts';
import { crlUrlsOf } from './certs/store/crls.ts';
import { openStore, type StoreChange } from './certs/store/store.ts';
import { secureContextFor } from './certs/trust.ts';
import { ANY_AUTHORITY, type Authority, parseAuthority } from './core/authority.ts';
import { contained, faultFields, type FaultScope, type ReportFault } from './core/boundary.ts';
import { batch } from './core/batch.ts';
import type { Log } from './core/log.ts';
import { requireOwnFolder } from './core/files/own-folder.ts';
import type { Crl } from './core/revocation/crl.ts';
import { lockHome } from './home-lock.ts';
import type { RecordedFields } from './inspect/records/fields.ts';
import { createRecorder } from './inspect/records/recorder.ts';
import type { ConnectionRecord, ExchangeRecord } from './inspect/records/types.ts';
import { createNotices } from './notices.ts';
import { credentials } from './proxy/listen/auth.ts';
import { type ProxyServer, startProxyServer } from './proxy/listen/server.ts';
import type { TunnelRecord } from './proxy/listen/tunnel.ts';
import type { Refusal } from './proxy/listen/connect.ts';
import { refusalRecord } from './proxy/refusal-record.ts';
import { createDialer } from './proxy/upstream/dial.ts';
import { Pools } from './proxy/upstream/pools.ts';
import { connectForRenewal } from './proxy/upstream/renewal.ts';
import { proxyFields, proxyName } from './proxy/upstream/proxy.ts';
import { writeRunFile } from './run-file.ts';
import type { Settings } from './settings/load.ts';
import { settingPasswords } from './settings/secret.ts';
import { followProxies, openPlainThrough, openThrough, upstreamProxyNames } from './upstream-proxies.ts';
import { keylogTo } from './tls/keylog.ts';
import { VERSION } from './version.ts';

export interface Daemon {
  readonly proxy: readonly string[];
  readonly admin: string;
  readonly home: string;
  readonly reportFault: ReportFault;
  /** Reads certificates.yaml and all that it names again; the log has the outcome. */
  reload(): void;
  /** Drains and stops; the second call ends what still runs. */
  stop(reason: string): Promise<void>;
}

/** @throws MtlsdError BAD_CONFIGURATION for anything invalid in files, flags or addresses */
export async function startDaemon(settings: Settings, log: Log): Promise<Daemon> {
  const { home, timeoutsMs, limits } = settings;
  // What was opened is closed in reverse order, after a failed start or at the stop.
  await using opened = new AsyncDisposableStack();
  await mkdir(home, { recursive: true, mode: 0o700 });
  await requireOwnFolder(home);
  const warn = (message: string): void => log('warn', 'daemon.warning', { message });
  const unlock = await lockHome(home, (why) => warn(`${why}; a second daemon for this home would not be noticed`));
  opened.defer(unlock);
  const reportFault: ReportFault = (fault) => {
    metrics.fault(fault.scope);
    log('error', 'daemon.fault', faultFields(fault));
  };
  let ready = false;
  const ca = await openLocalCa(join(home, 'ca'), {
    ...settings.ca,
    onNotice: warn,
    onChange: async (state, why) => {
      if (!ready) return; // what is made below looks at the state itself
      await publishCaFiles();
      notices.caChanged(state, why);
      watchExpiry(store.current);
    },
  });
  opened.defer(() => ca.close());
  const within = (decision: Decision, authority: Authority): Decision =>
    withinReach(decision, authority, ca.current.reach, settings.ca.outside);
  const { publicDir } = settings;
  if (publicDir !== null) await publishCa(ca, publicDir);
  const publishCaFiles = async (): Promise<void> => {
    try {
      await ca.refreshBundle();
      if (publicDir !== null) await publishCa(ca, publicDir);
    } catch (error) {
      warn(`the files of the local CA can't be written: ${(error as Error).message}`);
    }
  };
  const token = await adminToken(join(home, 'admin.token'));
  const faultIn = (scope: FaultScope) => (error: unknown) => reportFault({ scope, id: null, error });
  const recorder = createRecorder({
    maxRecords: limits.records,
    maxBytes: limits.recordBytes,
    onFault: faultIn('admin'),
  });
  const usage = createUsage((id) => recorder.connection(id));
  const metrics = createMetrics({
    version: VERSION,
    store: () => store.current,
    clientConnections: () => proxy?.stats.connections ?? 0,
    pools: () => pools.stats,
    leaves: () => leaves,
  });
  const notices = createNotices(log, metrics);
  const onKeylog = settings.keylog === null ? null : keylogTo(settings.keylog, warn);
  const ownPorts = new Set<number>();

  const tcp = { timeoutMs: timeoutsMs.connect, ownPorts, connectTo: settings.network.connectTo };
  const proxies = await followProxies(settings.network, warn, contained('daemon', reportFault, notices.proxyChanged));
  opened.defer(() => proxies.close());
  const proxyFor = proxies.choose;
  const { environmentProxy } = settings;
  const upstreamProxies = upstreamProxyNames(settings);
  const openTcp = openThrough(proxyFor, tcp);
  const openPlain = openPlainThrough(proxyFor, tcp);
  const dial = createDialer({
    openTcp,
    contextFor: (identity, { trust, minVersion, maxVersion }) =>
      secureContextFor({ identity, trust, minVersion, maxVersion }),
    localCa: () => ca.current.refused,
    tlsTimeoutMs: timeoutsMs.tls,
    onRecord: contained('daemon', reportFault, (record: ConnectionRecord) => {
      recorder.addConnection(record);
      usage.connection(record);
      metrics.connection(record);
      log(record.error ? 'warn' : 'info', record.event, record);
    }),
    onKeylog,
  });
  const pools = new Pools({
    dial,
    openPlain,
    plainProxy: (authority) => {
      const other = proxyFor(authority);
      return other && proxyFields(other);
    },
    keepAliveMs: timeoutsMs.keepAlive,
    maxConnections: limits.upstreamConnections,
    waitMs: timeoutsMs.response,
    headerBytes: limits.headerBytes,
    reportFault,
  });
  let proxy: ProxyServer | null = null;
  const expiry = new ExpiryWatch({
    stateFile: join(home, 'expiry.json'),
    onFault: faultIn('reload'),
    onNotice: notices.expiry,
  });
  opened.defer(() => expiry.close());
  const watchExpiry = ({ entries }: StoreSnapshot): void => void expiry.update([...entries, expiringCa(ca.current)]);
  const renewer = new Renewer({
    stateFile: join(home, 'renewals.json'),
    connect: connectForRenewal(dial, (name) => store.current.entries.find((entry) => entry.name === name) ?? null),
    reload: () => store.reload(true),
    onRenewed: contained('daemon', reportFault, notices.renewed),
    onFailed: contained('daemon', reportFault, notices.renewalFailed),
  });
  const retire = (next: StoreSnapshot): void => {
    try {
      pools.retire(next);
      pools.retireRevoked();
    } catch (error) {
      // Not contained: a connection with a withdrawn certificate could stay in use. Only the end of the process
      // is sure to close it.
      setImmediate(() => {
        throw error;
      });
    }
  };
  let crls: CrlFetcher | null = null;
  const store = await openStore({
    file: join(home, 'certificates.yaml'),
    onFault: faultIn('reload'),
    onLoaded: contained('reload', reportFault, (next: StoreSnapshot, previous: unknown, change: StoreChange) => {
      retire(next);
      proxy?.storeChanged(next);
      usage.retain(next.entries);
      watchExpiry(next);
      // At the first load this happens later, when everything else is up.
      if (previous) {
        void renewer.update(next.entries);
        crls?.update(crlUrlsOf(next.sections)).catch(faultIn('reload'));
      }
      notices.loaded(next, change);
    }),
    onRejected: contained('reload', reportFault, notices.rejected),
  });
  opened.defer(() => store.close());
  crls = new CrlFetcher({
    book: store.crls,
    folder: join(home, 'crls'),
    connect: openPlain,
    anchors: () => store.current.choosePolicy(ANY_AUTHORITY).trust.certificates,
    onUpdated: contained('reload', reportFault, (url: string, updated: readonly Crl[]) => {
      pools.retireRevoked();
      notices.crlUpdated(url, updated);
    }),
    onFailed: contained('reload', reportFault, notices.crlFailed),
  });
  opened.defer(() => crls?.close());
  // CRLs that an earlier run kept are available before the first connection.
  await crls.update(crlUrlsOf(store.current.sections));
  opened.defer(() => renewer.close());
  opened.defer(() => pools.close());
  const leaves = leafCache((host) => signerFor(ca.current, host), { max: limits.leafCertificates });
  const onTunnel = contained('daemon', reportFault, (record: TunnelRecord) => {
    metrics.tunnel(record.error !== null);
    log(record.error ? 'warn' : 'info', 'tunnel', record);
  });
  // In batches: log, memory and counts are at most 10 ms late.
  // Separate from the record, which log and events show.
  const fieldsOf = new WeakMap<ExchangeRecord, RecordedFields>();
  const onExchange = (record: ExchangeRecord): void => {
    const json = JSON.stringify(record);
    recorder.addExchange(record, json, fieldsOf.get(record));
    usage.exchange(record);
    metrics.exchange(record);
    log.json('info', json);
  };
  const finished = batch(10, contained('daemon', reportFault, onExchange));

  const listening = await startProxyServer({
    ca: () => ca.current,
    listen: settings.listen,
    anyPort: settings.anyPort,
    socks: settings.network.socks,
    local: settings.network.listeners,
    tunnel: {
      openTcp: (authority) => openTcp(authority, true),
      dial,
      onRecord: onTunnel,
      silenceMs: timeoutsMs.stream,
    },
    listenOptional: settings.listenOptional,
    store: () => store.current,
    connect: {
      credentials: credentials(await settingPasswords(settings.auth)),
      interception: { contextFor: (host) => leaves.contextFor(host), handshakeTimeoutMs: timeoutsMs.tls, onKeylog },
      within,
      nonTls: settings.nonTls,
      onRefused: contained('daemon', reportFault, (refusal: Refusal) => {
        const { exchange, client, target, error } = refusal;
        metrics.refused(error.code);
        recorder.addExchange(refusalRecord(refusal));
        const { code, message, hint } = error;
        log('warn', 'proxy.refused', { exchange, client, target, code, message, hint });
      }),
    },
    exchange: {
      pools,
      reportFault,
      timeoutsMs,
      onRecord: (record, fields) => {
        if (fields) fieldsOf.set(record, fields);
        finished.add(record);
      },
      overrides: settings.overrides,
      proven: settings.auth !== null && 'users' in settings.auth,
      logQuery: settings.log.query,
      fieldPolicy: settings.fieldPolicy,
      via: `mtlsd-${randomBytes(4).toString('hex')}`,
    },
    endTunnels: settings.endTunnels,
    limits,
    timeoutsMs,
  });
  proxy = listening;
  opened.defer(() => listening.drain());
  // Not before the proxy takes connections: to load and build the API takes a third of the start.
  const { startAdminServer } = await import('./admin/server.ts');
  const admin = await startAdminServer(
    {
      version: VERSION,
      token,
      log,
      report: reportFault,
      home,
      ca,
      within,
      recorder,
      fieldPolicy: settings.fieldPolicy,
      store,
      renewals: renewer,
      usage,
      metrics,
      flush: () => finished.flush(),
      connect: async (authority) => (await openTcp(authority)).socket,
      connectPlain: openPlain,
      viaOf: (authority) => {
        const other = proxyFor(authority);
        return other && proxyName(other);
      },
      upstreamProxies,
      tlsTimeoutMs: timeoutsMs.tls,
      clientConnections: () => listening.stats.connections,
      passwordRequired: settings.auth !== null,
      proxyAddresses: () => listening.addresses,
      otherAddresses: () => ({ socks: listening.socks, listeners: listening.local }),
      ready: () => ready,
    },
    settings.admin,
    settings.anyPort,
  );
  opened.defer(() => admin.close());
  const metricsServer =
    settings.metrics && (await startMetricsServer(metrics, settings.metrics, () => finished.flush()));
  if (metricsServer) opened.defer(() => metricsServer.close());
  const own = [...listening.addresses, ...listening.local, listening.socks, metricsServer?.address];
  for (const address of own) if (address && !address.startsWith('unix:')) ownPorts.add(parseAuthority(address).port);
  if (!admin.url.startsWith('unix:')) ownPorts.add(Number(new URL(admin.url).port));

  const { addresses, unixSockets } = listening;
  const reached = { proxy: addresses, admin: admin.url, ...(unixSockets.length > 0 && { unix_sockets: unixSockets }) };
  opened.defer(await writeRunFile(home, { pid: process.pid, version: VERSION, ...reached }));
  ready = true;
  if (environmentProxy.kind === 'ignored') warn(`${environmentProxy.why}; it is not used as upstream_proxy`);
  if (settings.keylog)
    warn(`TLS session keys are written to ${settings.keylog}: whoever reads it can read the traffic`);
  if (settings.fieldPolicy === 'all')
    warn(
      'records.fields is all: the API and the HAR export give cookies and credentials of requests to every client with the token',
    );
  log('info', 'daemon.ready', {
    version: VERSION,
    pid: process.pid,
    ...reached,
    ...(listening.socks && { socks: listening.socks }),
    ...(metricsServer && { metrics: metricsServer.address }),
    ...(listening.local.length > 0 && { listeners: listening.local }),
    ...(upstreamProxies.length > 0 && { upstream_proxy: upstreamProxies }),
    home,
    ca_fingerprint256: ca.current.anchors[0].fingerprint256,
    certificates: store.current.entries.length,
  });

  void renewer.update(store.current.entries);
  // Only now: reading the system's anchors takes 100 ms, and the first connection would wait for it anyway.
  setImmediate(() => void publishCaFiles());
  const running = opened.move();
  let stopping: Promise<void> | null = null;
  const stop = async (reason: string): Promise<void> => {
    ready = false;
    await listening.drain();
    await running.disposeAsync();
    finished.flush();
    log('info', 'daemon.stopped', { reason });
    await log.flush();
  };
  return {
    proxy: listening.addresses,
    admin: admin.url,
    home,
    reportFault,
    reload: contained('reload', reportFault, () => store.reload()),
    stop: (reason) => (stopping ??= stop(reason)),
  };
}
