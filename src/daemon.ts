/** The composition root: the only place that wires the parts; start, drain, stop. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { appendFile, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createMetrics } from './admin/metrics.ts';
import { startMetricsServer } from './admin/metrics-server.ts';
import { createUsage } from './admin/usage.ts';
import { leafCache } from './certs/local-ca/leaf-cache.ts';
import { openLocalCa } from './certs/local-ca/local-ca.ts';
import { publishCa } from './certs/local-ca/public-files.ts';
import { type Renewed, type RenewalFailed, Renewer } from './certs/renewal/renewer.ts';
import { distinctProblems } from './certs/store/changes.ts';
import { ExpiryWatch } from './certs/store/expiry.ts';
import type { StoreSnapshot } from './certs/store/snapshot.ts';
import { openStore, type StoreChange } from './certs/store/store.ts';
import { loadTrust, secureContextFor } from './certs/trust.ts';
import { type Authority, isLoopback, parseAuthority } from './core/authority.ts';
import type { FileProblem } from './core/yaml/read.ts';
import { contained, faultFields, type FaultScope, type ReportFault } from './core/boundary.ts';
import { MtlsdError } from './core/errors.ts';
import { createFile, writeAtomically } from './core/files/atomic-write.ts';
import { gather } from './core/gather.ts';
import type { Log } from './core/log.ts';
import { requireOwnFolder } from './core/files/own-folder.ts';
import { Secret } from './core/secret.ts';
import { lockHome } from './home-lock.ts';
import { createRecorder } from './inspect/records/recorder.ts';
import type { ConnectionRecord, ExchangeRecord } from './inspect/records/types.ts';
import { credentials, type Passwords } from './proxy/listen/auth.ts';
import { type ProxyServer, startProxyServer } from './proxy/listen/server.ts';
import type { TunnelRecord } from './proxy/listen/tunnel.ts';
import type { Refusal } from './proxy/listen/connect.ts';
import { refusalRecord } from './proxy/refusal-record.ts';
import { createDialer } from './proxy/upstream/dial.ts';
import { Pools } from './proxy/upstream/pools.ts';
import { connectForRenewal } from './proxy/upstream/renewal.ts';
import {
  connectToProxy,
  type ProxyChoice,
  proxyFields,
  proxyName,
  tunnelThrough,
  type UpstreamProxy,
} from './proxy/upstream/proxy.ts';
import { connectTcp } from './proxy/upstream/tcp.ts';
import type { SecretSource, Settings } from './settings/load.ts';
import type { UpstreamProxySettings } from './settings/network.ts';
import { VERSION } from './version.ts';

export interface Daemon {
  readonly proxy: readonly string[];
  readonly admin: string;
  readonly home: string;
  readonly reportFault: ReportFault;
  /** Reads certificates.yaml and all that it names anew; the log tells what came of it. */
  reload(): void;
  /** Drains and stops; the second call ends what is still under way. */
  stop(reason: string): Promise<void>;
}

/** @throws MtlsdError BAD_CONFIGURATION for anything in files, flags or addresses that can't stand */
export async function startDaemon(settings: Settings, log: Log): Promise<Daemon> {
  const { home, timeoutsMs, limits } = settings;
  // What was opened is closed again in reverse, whether the start fails half-way or the daemon is stopped.
  await using opened = new AsyncDisposableStack();
  await mkdir(home, { recursive: true, mode: 0o700 });
  await requireOwnFolder(home);
  const unlock = await lockHome(home, (why) =>
    log('warn', 'daemon.warning', { message: `${why}; a second daemon for this home would not be noticed` }),
  );
  opened.defer(unlock);
  const ca = await openLocalCa(join(home, 'ca'));
  if (settings.publicDir !== null) await publishCa(ca, settings.publicDir);
  const token = await adminToken(join(home, 'admin.token'));
  const reportFault: ReportFault = (fault) => {
    metrics.fault(fault.scope);
    log('error', 'daemon.fault', faultFields(fault));
  };
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
  const onKeylog = settings.keylog === null ? null : keylogTo(settings.keylog, log);
  const ownPorts = new Set<number>();

  const tcp = { timeoutMs: timeoutsMs.connect, ownPorts, connectTo: settings.network.connectTo };
  const proxyFor = await chooseProxies(settings.network);
  const { environmentProxy } = settings;
  const upstreamProxies = upstreamProxyNames(settings);
  /** Straight to an origin, or through the proxy that the settings name for it. */
  const openTcp = async (authority: Authority, allowHalfOpen = false) => {
    const other = proxyFor(authority);
    const options = { ...tcp, allowHalfOpen };
    if (other) return { ...(await tunnelThrough(other, authority, options)), via: proxyName(other) };
    return { ...(await connectTcp(authority, options)), via: null };
  };
  const openPlain = (authority: Authority) => {
    const other = proxyFor(authority);
    return other ? connectToProxy(other, tcp) : connectTcp(authority, tcp);
  };
  const dial = createDialer({
    openTcp,
    contextFor: (identity, { trust, minVersion, maxVersion }) =>
      secureContextFor({ identity, trust, minVersion, maxVersion }),
    localCa: ca.certificate,
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
    onNotice: ({ event, name, subject, fingerprint256, daysLeft, notAfter, threshold }) =>
      log(event === 'certificate.expired' ? 'error' : 'warn', event, {
        name,
        subject,
        fingerprint256,
        days_left: daysLeft,
        not_after: notAfter.toISOString(),
        threshold,
      }),
  });
  opened.defer(() => expiry.close());
  const renewer = new Renewer({
    stateFile: join(home, 'renewals.json'),
    connect: connectForRenewal(dial, (name) => store.current.entries.find((entry) => entry.name === name) ?? null),
    reload: () => store.reload(true),
    onRenewed: contained('daemon', reportFault, (renewed: Renewed) => {
      const { name, subject, via, fingerprintBefore, fingerprintAfter, notAfter, next } = renewed;
      metrics.renewal(name, true);
      log('info', 'certificate.renewed', {
        name,
        subject,
        via,
        fingerprint_before: fingerprintBefore,
        fingerprint_after: fingerprintAfter,
        not_after: notAfter.toISOString(),
        next: next.toISOString(),
      });
    }),
    onFailed: contained('daemon', reportFault, (failed: RenewalFailed) => {
      const { name, subject, via, fingerprintBefore, code, message, hint, failures, notAfter, next } = failed;
      metrics.renewal(name, false);
      log(notAfter.getTime() < Date.now() ? 'error' : 'warn', 'certificate.renewal_failed', {
        name,
        subject,
        via,
        fingerprint_before: fingerprintBefore,
        code,
        message,
        hint,
        failures,
        not_after: notAfter.toISOString(),
        next: next.toISOString(),
      });
    }),
  });
  const retire = (next: StoreSnapshot): void => {
    try {
      pools.retire(next);
    } catch (error) {
      // Not contained: a connection with a withdrawn certificate could stay in use, and only the end of the process ends it.
      setImmediate(() => {
        throw error;
      });
    }
  };
  const store = await openStore({
    file: join(home, 'certificates.yaml'),
    onFault: faultIn('reload'),
    onLoaded: contained('reload', reportFault, (next: StoreSnapshot, previous: unknown, change: StoreChange) => {
      retire(next);
      proxy?.storeChanged(next);
      usage.retain(next.entries);
      metrics.reload(true);
      void expiry.update(next);
      // The first time when everything else is up.
      if (previous) void renewer.update(next.entries);
      log('info', 'store.loaded', change);
      for (const { name, entries, problem } of distinctProblems(next.entries)) {
        const message = entries > 1 ? `${problem.message} (${entries} entries)` : problem.message;
        log(problem.severity === 'error' ? 'error' : 'warn', 'store.problem', { name, ...problem, message });
      }
    }),
    onRejected: contained('reload', reportFault, (problems: readonly FileProblem[]) => {
      metrics.reload(false);
      log('error', 'store.rejected', { problems });
    }),
  });
  opened.defer(() => store.close());
  opened.defer(() => renewer.close());
  opened.defer(() => pools.close());
  const leaves = leafCache(ca, { max: limits.leafCertificates });
  const onTunnel = contained('daemon', reportFault, (record: TunnelRecord) => {
    metrics.tunnel(record.error !== null);
    log(record.error ? 'warn' : 'info', 'tunnel', record);
  });
  // One call after another, since nobody waits for it: log, memory and counts are 10 ms behind at most.
  const onExchange = (record: ExchangeRecord): void => {
    const json = JSON.stringify(record);
    recorder.addExchange(record, json);
    usage.exchange(record);
    metrics.exchange(record);
    log.json('info', json);
  };
  const finished = gather(10, contained('daemon', reportFault, onExchange));
  let ready = false;

  const listening = await startProxyServer({
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
      credentials: credentials(await readPasswords(settings.auth)),
      interception: { contextFor: (host) => leaves.contextFor(host), handshakeTimeoutMs: timeoutsMs.tls, onKeylog },
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
      onRecord: (record: ExchangeRecord) => finished.add(record),
      overrides: settings.overrides,
      proven: settings.auth !== null && 'users' in settings.auth,
      logQuery: settings.log.query,
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
      recorder,
      store,
      renewals: renewer,
      usage,
      metrics,
      settle: () => finished.flush(),
      connect: async (authority) => (await openTcp(authority)).socket,
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

  const runFile = join(home, 'run.json');
  const { addresses, unixSockets } = listening;
  const reached = { proxy: addresses, admin: admin.url, ...(unixSockets.length > 0 && { unix_sockets: unixSockets }) };
  const run = `${JSON.stringify({ pid: process.pid, version: VERSION, ...reached })}\n`;
  await writeAtomically(runFile, run, { mode: 0o600 });
  // When the process exits without a stop, too: a fault, or a second signal.
  const removeTraces = (): void => {
    process.off('exit', removeTraces);
    if (holds(runFile, run)) rmSync(runFile);
    if (admin.url.startsWith('unix:')) rmSync(admin.url.slice(5), { force: true });
  };
  process.once('exit', removeTraces);
  opened.defer(removeTraces);
  ready = true;
  if (environmentProxy.kind === 'ignored')
    log('warn', 'daemon.warning', { message: `${environmentProxy.why}; it is not used as upstream_proxy` });
  if (settings.keylog)
    log('warn', 'daemon.warning', {
      message: `TLS session keys are written to ${settings.keylog}: whoever reads it can read the traffic`,
    });
  log('info', 'daemon.ready', {
    version: VERSION,
    pid: process.pid,
    ...reached,
    ...(listening.socks && { socks: listening.socks }),
    ...(metricsServer && { metrics: metricsServer.address }),
    ...(listening.local.length > 0 && { listeners: listening.local }),
    ...(upstreamProxies.length > 0 && { upstream_proxy: upstreamProxies }),
    home,
    ca_fingerprint256: ca.certificate.fingerprint256,
    certificates: store.current.entries.length,
  });

  void renewer.update(store.current.entries);
  // Not before: reading the system's anchors takes 100 ms, and the first connection would wait for it anyway.
  setImmediate(() => {
    const { publicDir } = settings;
    ca.refreshBundle()
      .then(() => (publicDir === null ? undefined : publishCa(ca, publicDir)))
      .catch((error: Error) =>
        log('warn', 'daemon.warning', { message: `the CA bundle can't be written: ${error.message}` }),
      );
  });
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

/** Made on first start, 0600; 256 bits, so that nobody guesses it. */
async function adminToken(path: string): Promise<Secret> {
  const made = randomBytes(32).toString('base64url');
  if (await createFile(path, `${made}\n`, 0o600)) {
    await chmod(path, 0o600); // whatever the umask took
    return new Secret(made);
  }
  if (((await stat(path)).mode & 0o077) !== 0)
    throw new MtlsdError('BAD_CONFIGURATION', `${path} is readable by others than its owner`, {
      hint: `chmod 600 ${path}, or remove it and a new one is made`,
    });
  const text = (await readFile(path, 'utf8')).trim();
  if (text.length < 20)
    throw new MtlsdError('BAD_CONFIGURATION', `${path} holds no token of at least 20 characters`, {
      hint: 'remove it and a new one is made',
    });
  return new Secret(text);
}

async function readPasswords(auth: Settings['auth']): Promise<Passwords> {
  if (auth === null) return null;
  if ('password' in auth) return readSecret(auth.password, 'auth.password');
  const users = new Map<string, Secret>();
  for (const [user, source] of auth.users) users.set(user, await readSecret(source, `auth.users.${user}`));
  return users;
}

/** @throws MtlsdError BAD_CONFIGURATION where the place named in the settings holds nothing */
async function readSecret(source: SecretSource | { readonly text: Secret }, setting: string): Promise<Secret> {
  if ('text' in source) return source.text;
  const text =
    'env' in source ? process.env[source.env] : (await readFile(source.file, 'utf8').catch(() => undefined))?.trimEnd();
  if (text) return new Secret(text);
  throw new MtlsdError(
    'BAD_CONFIGURATION',
    `${setting}: ${'env' in source ? `the variable ${source.env}` : source.file} holds nothing`,
    {
      hint: `set it, or take ${setting} out of mtlsd.yaml`,
    },
  );
}

/** As `status` and the start show them. */
function upstreamProxyNames({ network, environmentProxy }: Settings): readonly string[] {
  if (environmentProxy.kind === 'used') return [`${environmentProxy.name} (from HTTPS_PROXY)`];
  const proxies = [...network.upstreamProxies.values()].filter((proxy) => proxy !== null);
  return [...new Set(proxies.map(proxyName))];
}

/** Which other proxy an authority is reached by. Loopback and what connect_to names are reached directly. */
async function chooseProxies({ upstreamProxies, connectTo }: Settings['network']): Promise<ProxyChoice> {
  const loaded = new Map<UpstreamProxySettings, UpstreamProxy>();
  for (const proxy of upstreamProxies.values()) {
    if (proxy === null) continue;
    const { scheme, authority, credentials, ca } = proxy;
    loaded.set(proxy, {
      scheme,
      authority,
      credentials: credentials && (await readSecret(credentials, 'upstream_proxy.credentials')),
      trust: loadTrust({ system: ca === null, ca: ca === null ? [] : [{ pem: await readCa(ca), file: ca }] }),
    });
  }
  return (authority) => {
    if (loaded.size === 0 || authority.host === 'localhost' || isLoopback(authority.host)) return null;
    if (connectTo.has(authority.text) || connectTo.has(authority.host)) return null;
    const proxy = upstreamProxies.find(authority);
    return (proxy && loaded.get(proxy)) ?? null;
  };
}

const readCa = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: Error) => {
    throw new MtlsdError('BAD_CONFIGURATION', `upstream_proxy.ca: ${file} can't be read: ${error.message}`, {
      cause: error,
    });
  });

/** The file may be another daemon's, where the home was removed and made again meanwhile. */
function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text;
  } catch {
    return false;
  }
}

/** NSS key log format, as Wireshark reads it. */
function keylogTo(path: string, log: Log): (line: Buffer) => void {
  let failed = false;
  return (line) => {
    appendFile(path, line, { mode: 0o600 }, (error) => {
      if (error && !failed) log('warn', 'daemon.warning', { message: `${path} can't be written: ${error.message}` });
      failed ||= error !== null;
    });
  };
}
