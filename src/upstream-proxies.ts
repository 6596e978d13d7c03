/** The other proxies of the settings, with what their files hold: which one an authority is reached by. */
import { readFile } from 'node:fs/promises';
import { loadTrust } from './certs/trust.ts';
import { isLoopback } from './core/authority.ts';
import { MtlsdError } from './core/errors.ts';
import { type ProxyChoice, proxyName, type UpstreamProxy } from './proxy/upstream/proxy.ts';
import type { Settings } from './settings/load.ts';
import type { UpstreamProxySettings } from './settings/network.ts';
import { settingSecret } from './settings/secret.ts';

/** As `status` and the start show them. */
export function upstreamProxyNames({ network, environmentProxy }: Settings): readonly string[] {
  if (environmentProxy.kind === 'used') return [`${environmentProxy.name} (from HTTPS_PROXY)`];
  const proxies = [...network.upstreamProxies.values()].filter((proxy) => proxy !== null);
  return [...new Set(proxies.map(proxyName))];
}

/** Which other proxy an authority is reached by. Loopback and what connect_to names are reached directly. */
export async function chooseProxies({ upstreamProxies, connectTo }: Settings['network']): Promise<ProxyChoice> {
  const loaded = new Map<UpstreamProxySettings, UpstreamProxy>();
  for (const proxy of upstreamProxies.values()) {
    if (proxy === null) continue;
    const { scheme, authority, credentials, ca } = proxy;
    loaded.set(proxy, {
      scheme,
      authority,
      credentials:
        credentials === null || 'text' in credentials
          ? (credentials?.text ?? null)
          : await settingSecret(credentials, 'upstream_proxy.credentials'),
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
