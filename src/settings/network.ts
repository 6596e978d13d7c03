/** The part of mtlsd.yaml about ways in and out: local ports, SOCKS, other proxies, addresses in place of names. */
import { resolve } from 'node:path';
import { HostIndex, parsePassthrough } from '../core/hosts.ts';
import { type Authority, authorityOf, canonicalHost, parseAuthority } from '../core/authority.ts';
import type { MtlsdError } from '../core/errors.ts';
import { badConfiguration } from '../core/errors.ts';
import type { ProgramSource, SecretSource } from '../core/read-secret.ts';
import type { Secret } from '../core/secret.ts';
import { tryOr } from '../core/try-or.ts';
import type { ProxyRule, SettingsFile } from './schema.ts';
import { passphraseSource, secretSource } from './secret-source.ts';

export interface ListenerSettings {
  readonly listen: string;
  readonly scheme: 'https' | 'tls';
  readonly authority: Authority;
  readonly profile: string | undefined;
}

export interface UpstreamProxySettings {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  readonly credentials: SecretSource | { readonly text: Secret } | null;
  readonly ca: string | null;
  /** The client certificate for an https proxy that asks for one. */
  readonly client: ClientFiles | null;
}

/** Absolute paths; either a PFX, or a certificate with its key in the same file or another. */
export interface ClientFiles {
  readonly cert: string | null;
  readonly key: string | null;
  readonly pfx: string | null;
  readonly passphrase: SecretSource | ProgramSource | null;
}

export interface NetworkSettings {
  /** By `host:port` or bare host, canonical. */
  readonly connectTo: ReadonlyMap<string, { readonly host: string; readonly port: number | null }>;
  readonly listeners: readonly ListenerSettings[];
  readonly socks: string | null;
  /** Which proxy an authority is reached by; null for none. */
  readonly upstreamProxies: HostIndex<UpstreamProxySettings | null>;
}

/**
 * @param path of mtlsd.yaml, for messages
 * @throws MtlsdError BAD_CONFIGURATION
 */
export function resolveNetwork(file: SettingsFile, home: string, path: string): NetworkSettings {
  const upstreamProxies = new HostIndex<UpstreamProxySettings | null>();
  for (const rule of [file.upstream_proxy ?? []].flat()) {
    const proxy = resolveProxy(rule, home, path);
    for (const pattern of rule.hosts ?? ['*'])
      upstreamProxies.add(hostPattern(pattern, `${path}: upstream_proxy.hosts`), proxy);
    for (const pattern of rule.no_proxy ?? [])
      upstreamProxies.add(hostPattern(pattern, `${path}: upstream_proxy.no_proxy`), null);
  }
  return {
    connectTo: new Map(Object.entries(file.connect_to ?? {}).map(([from, to]) => connectOverride(from, to, path))),
    listeners: (file.listeners ?? []).map(({ listen, to, profile }) => {
      const [, scheme, place = ''] = /^(https|tls):\/\/([^/]+)\/?$/.exec(to) ?? [];
      return {
        listen,
        scheme: scheme === 'tls' ? 'tls' : 'https',
        authority: authorityIn(place, scheme === 'tls' ? undefined : 443, `${path}: listeners`),
        profile,
      };
    }),
    socks: file.socks ?? null,
    upstreamProxies,
  };
}

function resolveProxy(rule: ProxyRule, home: string, path: string): UpstreamProxySettings {
  const { url, credentials, ca } = rule;
  const [, scheme, place = ''] = /^(https?):\/\/([^/]*)\/?$/.exec(url) ?? [];
  if (place.includes('@'))
    throw badConfiguration(
      `${path}: upstream_proxy.url holds credentials`,
      'keep them out of the file: credentials: { env: NAME } with USER:PASSWORD in the variable',
    );
  return {
    scheme: scheme === 'https' ? 'https' : 'http',
    authority: authorityIn(place, scheme === 'https' ? 443 : 80, `${path}: upstream_proxy.url`),
    credentials: credentials ? secretSource(credentials, home) : null,
    ca: ca === undefined ? null : resolve(home, ca),
    client: clientFiles(rule, home, path),
  };
}

function clientFiles({ url, cert, key, pfx, passphrase }: ProxyRule, home: string, path: string): ClientFiles | null {
  const [named] = Object.entries({ cert, key, pfx, passphrase }).find(([, value]) => value !== undefined) ?? [];
  if (named === undefined) return null;
  const wrong = (message: string, hint: string): MtlsdError =>
    badConfiguration(`${path}: upstream_proxy.${named}: ${message}`, hint);
  if (!url.startsWith('https:'))
    throw wrong('a client certificate is sent to an https proxy only', `write https:// in url, or take ${named} out`);
  if ((cert === undefined) === (pfx === undefined) || (pfx !== undefined && key !== undefined))
    throw wrong(
      cert === undefined && pfx === undefined ? 'there is no certificate with it' : 'a PFX holds certificate and key',
      'name cert and key, or pfx alone',
    );
  const at = (file: string | undefined): string | null => (file === undefined ? null : resolve(home, file));
  return {
    cert: at(cert),
    key: at(key),
    pfx: at(pfx),
    passphrase: passphrase ? passphraseSource(passphrase, home) : null,
  };
}

function authorityIn(text: string, defaultPort: number | undefined, where: string): Authority {
  try {
    return parseAuthority(text, defaultPort);
  } catch (error) {
    throw badConfiguration(`${where}: ${(error as Error).message}`, 'write HOST:PORT', error);
  }
}

function hostPattern(text: string, where: string) {
  const pattern = parsePassthrough(text);
  if (pattern) return pattern;
  throw badConfiguration(
    `${where}: ${JSON.stringify(text)} is not a host`,
    'write a host, "*.suffix" or an address, with ":port" where only one port is meant',
  );
}

function connectOverride(from: string, to: string, path: string): [string, { host: string; port: number | null }] {
  const key = hostAndPort(from);
  const target = hostAndPort(to);
  if (!key || !target) {
    throw badConfiguration(
      `${path}: connect_to: ${JSON.stringify(key ? to : from)} is neither HOST nor HOST:PORT`,
      'write for example "api.example:443": "127.0.0.1:9443"',
    );
  }
  return [key.port === null ? key.host : authorityOf(key.host, key.port).text, target];
}

function hostAndPort(text: string): { host: string; port: number | null } | null {
  const bare = canonicalHost(text);
  if (bare !== null) return { host: bare, port: null };
  return tryOr(() => parseAuthority(text), null);
}
