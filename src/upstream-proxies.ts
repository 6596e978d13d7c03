/** The other proxies of the settings, with what their files hold: which one an authority is reached by. */
import { readFile } from 'node:fs/promises';
import { dateProblems } from './certs/identity/chain.ts';
import type { ClientIdentity } from './certs/identity/identity.ts';
import { loadIdentity } from './certs/identity/load.ts';
import { loadTrust } from './certs/trust.ts';
import { type Authority, isLoopback } from './core/authority.ts';
import { badConfiguration } from './core/errors.ts';
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
  { upstreamProxies, connectTo }: Settings['network'],
  warn: (message: string) => void,
): Promise<ProxyChoice> {
  const loaded = new Map<UpstreamProxySettings, UpstreamProxy>();
  for (const proxy of upstreamProxies.values()) {
    if (proxy === null) continue;
    const { scheme, authority, credentials, ca, client } = proxy;
    loaded.set(proxy, {
      scheme,
      authority,
      credentials:
        credentials === null || 'text' in credentials
          ? (credentials?.text ?? null)
          : await settingSecret(credentials, 'upstream_proxy.credentials'),
      trust: loadTrust({ system: ca === null, ca: ca === null ? [] : [{ pem: await readCa(ca), file: ca }] }),
      identity: client && (await clientIdentity(client, warn)),
    });
  }
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

/** Loaded and diagnosed as an entry's. It is not read again while the daemon runs, so an expired one is refused here. */
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
  if (dated)
    throw badConfiguration(
      `${setting}: ${dated.code}: ${dated.message}`,
      'renew it, replace its files, and start again',
    );
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
