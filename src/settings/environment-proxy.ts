/** HTTPS_PROXY and NO_PROXY of the daemon's environment: used where the settings leave out upstream_proxy. */
import { join } from 'node:path';
import { isLoopback, parseAuthority } from '../core/authority.ts';
import { parsePassthrough } from '../core/hosts.ts';
import { Secret } from '../core/secret.ts';
import { tryOr } from '../core/try-or.ts';
import type { NetworkSettings, UpstreamProxySettings } from './network.ts';

export type EnvironmentProxy =
  | { readonly kind: 'none' }
  /** `name` as it may be shown. */
  | { readonly kind: 'used'; readonly name: string }
  | { readonly kind: 'ignored'; readonly why: string };

/**
 * Adds it to `proxies`.
 * @param home `mtlsd env` of this home may have set the variables, which then lead back here
 */
export function useEnvironmentProxy(
  proxies: NetworkSettings['upstreamProxies'],
  env: NodeJS.ProcessEnv,
  { home, listen }: { readonly home: string; readonly listen: readonly { readonly port: number }[] },
): EnvironmentProxy {
  const value = env.https_proxy || env.HTTPS_PROXY;
  if (!value) return { kind: 'none' };
  const proxy = proxyOf(value);
  // The value may hold a password, so it is not shown.
  if (!proxy) return { kind: 'ignored', why: 'HTTPS_PROXY is not an http or https URL' };
  const { scheme, authority } = proxy;
  const name = `${scheme}://${authority.text}`;
  const isOwn =
    env.NODE_EXTRA_CA_CERTS === join(home, 'ca/ca.pem') ||
    ((authority.host === 'localhost' || isLoopback(authority.host)) &&
      listen.some(({ port }) => port === authority.port));
  if (isOwn) return { kind: 'ignored', why: `HTTPS_PROXY leads to this daemon (${name})` };
  const exceptions = (env.no_proxy || env.NO_PROXY || '').split(',').map((item) => item.trim());
  if (exceptions.includes('*')) return { kind: 'ignored', why: 'NO_PROXY is *' };
  proxies.add({ host: '*', port: '*' }, proxy);
  for (const item of exceptions) {
    // curl and Go: a name includes those below it, with or without a dot or `*.` before it.
    const bare = item.replace(/^\*?\./, '');
    const pattern = bare === '' ? null : parsePassthrough(bare);
    if (!pattern) continue;
    proxies.add(pattern, null);
    if (/[a-z]/i.test(pattern.host) && !pattern.host.includes(':'))
      proxies.add({ ...pattern, host: `*.${pattern.host}` }, null);
  }
  return { kind: 'used', name };
}

function proxyOf(value: string): UpstreamProxySettings | null {
  const text = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(text)) return null;
  const { protocol, hostname, port, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') return null;
  const scheme = protocol === 'https:' ? 'https' : 'http';
  const credentials = username === '' ? null : { text: new Secret(decoded(username) + ':' + decoded(password)) };
  const authority = tryOr(() => parseAuthority(`${hostname}:${port || DEFAULT_PORT[scheme]}`), null);
  return authority && { scheme, authority, credentials, ca: null, client: null };
}

/** curl takes 1080 where none is given; a URL has the default of its scheme. */
const DEFAULT_PORT = { http: 80, https: 443 } as const;

const decoded = (text: string): string => tryOr(() => decodeURIComponent(text), text);
