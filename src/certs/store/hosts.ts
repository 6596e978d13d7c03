/** Host patterns of the store in canonical form. */
import { isIP } from 'node:net';
import { canonicalHost } from '../../core/authority.ts';
import type { HostPort } from './parsed.ts';

/** `*`, `*.suffix` or an exact host, canonical; null where it is none of them. */
export function canonicalPattern(host: string): string | null {
  if (host === '*') return '*';
  if (!host.startsWith('*.')) return canonicalHost(host);
  const suffix = canonicalHost(host.slice(2));
  // "*.0.0.1" would be a pattern over addresses, which have no hierarchy to match by label.
  return suffix === null || isIP(suffix) !== 0 ? null : `*.${suffix}`;
}

/** `host`, `*.suffix:443`, `[::1]:8443`: an item of interception.passthrough. Any port unless one is given. */
export function parsePassthrough(text: string): HostPort | null {
  const bare = canonicalPattern(text); // also an IPv6 address without brackets
  if (bare !== null) return { host: bare, port: '*' };
  const match = /^(.+):(\d{1,5}|\*)$/.exec(text);
  const host = match ? canonicalPattern(match[1] ?? '') : null;
  if (!match || host === null) return null;
  const port = match[2] === '*' ? '*' : Number(match[2]);
  return port === '*' || (port >= 1 && port <= 65535) ? { host, port } : null;
}

/** `host:port` for people and ids, IPv6 in brackets. */
export function hostPortText({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A name for an entry that has none: `api.partner.example`, `wildcard.corp.example-8443`, `any-host-any-port`. */
export function nameFor({ host, port }: HostPort): string {
  const base = host === '*' ? 'any-host' : host.replace(/^\*\./, 'wildcard.').replaceAll(':', '-');
  const suffix = port === 443 ? '' : port === '*' ? '-any-port' : `-${port}`;
  // Names are held to 100 characters starting with a letter or digit; 80 leaves room for a counter.
  return base.replace(/^[^A-Za-z0-9]+/, 'h').slice(0, 80) + suffix;
}
