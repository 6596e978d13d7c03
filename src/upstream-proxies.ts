/** The other proxies of the settings, with what their files hold: which one an authority is reached by. */
import { readFile } from 'node:fs/promises';
import { dateProblems } from './certs/identity/chain.ts';
import type { ClientIdentity } from './certs/identity/identity.ts';
import { loadIdentity } from './certs/identity/load.ts';
import { fingerprints, watchedFolders } from './certs/store/files.ts';
import { StoreWatcher } from './certs/store/watch.ts';
import { loadTrust } from './certs/trust.ts';
import { type Authority, isLoopback } from './core/authority.ts';
import { badConfiguration, type MtlsdError } from './core/errors.ts';
import {
  connectToProxy,
  type ProxyChoice,
  proxyFields,
  proxyName,
  tunnelThrough,
  type UpstreamProxy,
} from './proxy/upstream/proxy.ts';
import { connectTcp, type TcpConnection, type TcpOptions } from './proxy/upstream/tcp.ts';
import type { Settings } from './settings/load.ts';
import type { ClientFiles, UpstreamProxySettings } from './settings/network.ts';
import { settingSecret } from './settings/secret.ts';

/** As `status` and the start show them. */
export function upstreamProxyNames({ network, environmentProxy }: Settings): readonly string[] {
  if (environmentProxy.kind === 'used') return [`${environmentProxy.name} (from HTTPS_PROXY)`];
  const proxies = [...network.upstreamProxies.values()].filter((proxy) => proxy !== null);
  return [...new Set(proxies.map(proxyName))];
}

/**
 * Which other proxy an authority is reached by. Loopback and what connect_to names are reached directly.
 * @param warn of a usable client certificate that a proxy may still refuse
 * @throws MtlsdError BAD_CONFIGURATION where a file that they name can't be used
 */
export async function chooseProxies(
  network: Settings['network'],
  warn: (message: string) => void,
): Promise<ProxyChoice> {
  const loaded: Loaded = new Map();
  for (const proxy of settingsOf(network)) loaded.set(proxy, await loadProxy(proxy, warn));
  return chooser(network, loaded);
}

type Loaded = Map<UpstreamProxySettings, UpstreamProxy>;

export interface FollowedProxies {
  readonly choose: ProxyChoice;
  close(): void;
}

/**
 * The same, and again after each change of their files: the next connection to a proxy is made with what they hold then. Files that
 * can't be used change nothing.
 * @param onChanged a proxy is used with new files
 */
export async function followProxies(
  network: Settings['network'],
  warn: (message: string) => void,
  onChanged: (proxy: UpstreamProxy) => void,
): Promise<FollowedProxies> {
  const proxies = settingsOf(network);
  const loaded: Loaded = new Map();
  const prints = new Map<UpstreamProxySettings, string>();
  const load = async (proxy: UpstreamProxySettings): Promise<void> => {
    const print = [...(await fingerprints(filesOf(proxy))).values()].join(' ');
    if (print === prints.get(proxy)) return;
    prints.set(proxy, print);
    const before = loaded.get(proxy);
    const next = await loadProxy(proxy, warn);
    loaded.set(proxy, next);
    if (before) onChanged(next);
  };
  // Before reading, so that a change while it reads is not missed.
  const watch = async (): Promise<void> => watcher.update(await watchedFolders(proxies.flatMap(filesOf)));
  let queue: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    await watch();
    for (const proxy of proxies)
      await load(proxy).catch(({ message, hint }: MtlsdError) =>
        warn(`${message}; the files before stay in use; ${hint}`),
      );
  };
  const watcher = new StoreWatcher(() => {
    queue = queue
      .then(look)
      .catch((error: Error) => warn(`the files of upstream_proxy can't be watched: ${error.message}`));
  });
  try {
    await watch();
    for (const proxy of proxies) await load(proxy);
  } catch (error) {
    watcher.close();
    throw error;
  }
  return { choose: chooser(network, loaded), close: () => watcher.close() };
}

const settingsOf = ({ upstreamProxies }: Settings['network']): UpstreamProxySettings[] => [
  ...new Set([...upstreamProxies.values()].filter((proxy) => proxy !== null)),
];

function filesOf({ ca, credentials, client }: UpstreamProxySettings): string[] {
  const secrets = [credentials, client?.passphrase].map((source) => (source && 'file' in source ? source.file : null));
  return [ca, client?.cert, client?.key, client?.pfx, ...secrets].filter((file) => typeof file === 'string');
}

async function loadProxy(
  { scheme, authority, credentials, ca, client }: UpstreamProxySettings,
  warn: (message: string) => void,
): Promise<UpstreamProxy> {
  return {
    scheme,
    authority,
    credentials:
      credentials === null || 'text' in credentials
        ? (credentials?.text ?? null)
        : await settingSecret(credentials, 'upstream_proxy.credentials'),
    trust: loadTrust({ system: ca === null, ca: ca === null ? [] : [{ pem: await readCa(ca), file: ca }] }),
    identity: client && (await clientIdentity(client, warn)),
  };
}

function chooser({ upstreamProxies, connectTo }: Settings['network'], loaded: Loaded): ProxyChoice {
  return (authority) => {
    if (loaded.size === 0 || authority.host === 'localhost' || isLoopback(authority.host)) return null;
    if (connectTo.has(authority.text) || connectTo.has(authority.host)) return null;
    const proxy = upstreamProxies.find(authority);
    return (proxy && loaded.get(proxy)) ?? null;
  };
}

/** Opens TCP straight to an origin, or through the proxy that is chosen for it; `via` names that proxy. */
export function openThrough(proxyFor: ProxyChoice, tcp: TcpOptions) {
  return async (authority: Authority, allowHalfOpen = false): Promise<TcpConnection & { via: string | null }> => {
    const other = proxyFor(authority);
    const options = { ...tcp, allowHalfOpen };
    if (other) return { ...(await tunnelThrough(other, authority, options)), via: proxyName(other) };
    return { ...(await connectTcp(authority, options)), via: null };
  };
}

/** Opens TCP for requests in the clear: straight, or to the proxy that is chosen, with the fields that it needs; null for none. */
export function openPlainThrough(proxyFor: ProxyChoice, tcp: TcpOptions) {
  return async (authority: Authority): Promise<TcpConnection & { fields: readonly string[] | null }> => {
    const other = proxyFor(authority);
    if (other) return { ...(await connectToProxy(other, tcp)), fields: proxyFields(other) };
    return { ...(await connectTcp(authority, tcp)), fields: null };
  };
}

/** Loaded and diagnosed as an entry's. An expired one is refused here, where something can be done about it. */
async function clientIdentity(files: ClientFiles, warn: (message: string) => void): Promise<ClientIdentity> {
  const at = (file: string | null): { path: string } | null => (file === null ? null : { path: file });
  const { identity, problems, file } = await loadIdentity({
    cert: at(files.cert),
    key: at(files.key),
    pfx: at(files.pfx),
    alias: null,
    passphrase: files.passphrase,
  });
  const setting = `upstream_proxy.${files.pfx === null ? 'cert' : 'pfx'}`;
  const [dated] = identity ? dateProblems(identity.leaf, file) : [];
  if (dated) throw badConfiguration(`${setting}: ${dated.code}: ${dated.message}`, 'renew it, and replace its files');
  if (!identity) {
    const fault = problems.find(({ severity }) => severity === 'error');
    throw badConfiguration(
      `${setting}: ${fault?.code}: ${fault?.message}`,
      fault?.code === 'PASSPHRASE_MISSING' ? 'set upstream_proxy.passphrase' : (fault?.hint ?? 'check the file'),
    );
  }
  for (const { code, message } of problems) warn(`${setting}: ${code}: ${message}`);
  return identity;
}

const readCa = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error: Error) => {
    throw badConfiguration(`upstream_proxy.ca: ${file} can't be read: ${error.message}`, undefined, error);
  });
