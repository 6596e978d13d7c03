import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { MtlsdError } from './errors.ts';

declare const parsed: unique symbol;

/**
 * Where a request goes, in one canonical form, so that two spellings of one place are equal strings everywhere:
 * lower case, A-labels, no trailing dot, IPv6 compressed and in brackets in `text`.
 */
export interface Authority {
  /** Without brackets: `api.example`, `192.0.2.7`, `2001:db8::1`. */
  readonly host: string;
  readonly port: number;
  readonly kind: 'name' | 'ipv4' | 'ipv6';
  /** `host:port`, IPv6 in brackets. */
  readonly text: string;
  readonly [parsed]: true;
}

/**
 * Parses `host:port` (RFC 9110 §7.2; RFC 3986 §3.2.2 for the brackets).
 * @param defaultPort used where the text has no port; without it a port is required
 * @throws MtlsdError BAD_AUTHORITY
 */
export function parseAuthority(text: string, defaultPort?: number): Authority {
  const match = /^(?:\[([^\]]*)\]|([^:@/?#\\\s]*))(?::(\d{1,5}))?$/.exec(text);
  if (!match) throw badAuthority(text, 'expected host:port');
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port === undefined) throw badAuthority(text, 'the port is missing');
  if (port < 1 || port > 65535) throw badAuthority(text, 'a port is a number from 1 to 65535');
  return authorityOf(match[1] === undefined ? (match[2] ?? '') : `[${match[1]}]`, port);
}

/**
 * @param host a name or address; IPv6 with or without brackets
 * @throws MtlsdError BAD_AUTHORITY
 */
export function authorityOf(host: string, port: number): Authority {
  const canonical = canonicalHost(host);
  if (canonical === null) throw badAuthority(host, 'not a host name or address');
  const kind = isIPv4(canonical) ? 'ipv4' : isIPv6(canonical) ? 'ipv6' : 'name';
  const text = kind === 'ipv6' ? `[${canonical}]:${port}` : `${canonical}:${port}`;
  return { host: canonical, port, kind, text } as Authority;
}

/** As the Host field has it: without the scheme's own port (RFC 9110 §7.2, §4.2.3). */
export function hostField({ text, port }: Authority, scheme: 'http' | 'https'): string {
  const own = scheme === 'https' ? 443 : 80;
  return port === own ? text.slice(0, -`:${own}`.length) : text;
}

/** The canonical form of one host without its port, or null where it is not a host. Brackets are removed. */
export function canonicalHost(host: string): string | null {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (isIPv6(bare)) return canonicalIPv6(bare);
  if (bare !== host) return null;
  // U+3002 and similar characters become dots here, as do IPv4 in its octal, hexadecimal and short forms (WHATWG URL §3.5).
  const ascii = domainToASCII(bare).replace(/\.$/, '');
  if (ascii === '' || ascii.length > 253 || !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(ascii)) return null;
  return ascii.split('.').every((label) => label.length <= 63) ? ascii : null;
}

function canonicalIPv6(address: string): string | null {
  if (address.includes('%')) return null; // a zone means something on one link only (RFC 6874)
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  // ::ffff:a.b.c.d is the IPv4 host; two names for one place would be two sets of rules.
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (!mapped) return host;
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/**
 * An origin as browsers serialize it (RFC 6454 §6.2): lower case, A-labels, without the scheme's own port.
 * @returns null where the text is no origin; a slash at its end is dropped
 */
export function canonicalOrigin(text: string): string | null {
  const [, scheme, host = '', digits] =
    /^([a-z][a-z0-9+.-]*):\/\/(\[[^\]]*\]|[^\s:/?#@[\]]+)(?::(\d{1,5}))?\/?$/i.exec(text) ?? [];
  const canonical = canonicalHost(host);
  const port = digits === undefined ? null : Number(digits);
  if (scheme === undefined || canonical === null || port === 0 || (port ?? 1) > 65535) return null;
  const own = { http: 80, https: 443 }[scheme.toLowerCase()];
  const shown = isIPv6(canonical) ? `[${canonical}]` : canonical;
  return `${scheme.toLowerCase()}://${shown}${port === null || port === own ? '' : `:${port}`}`;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an IP address (not a name) is this machine's loopback. */
export function isLoopback(ip: string): boolean {
  return isIPv4(ip) ? loopback.check(ip, 'ipv4') : isIPv6(ip) && loopback.check(ip, 'ipv6');
}

/** The part of a request target that log and messages may show: without user information and query. */
export function tellable(target: string): string {
  const [beforeQuery = ''] = target.split(/[?#]/);
  return beforeQuery.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, '$1').slice(0, 300);
}

function badAuthority(text: string, why: string): MtlsdError {
  return new MtlsdError('BAD_AUTHORITY', `${JSON.stringify(tellable(text))} is not an authority: ${why}`);
}

/** Only a rule for every host applies to it: it shows the policy for all hosts. */
export const ANY_AUTHORITY: Authority = authorityOf('any.invalid', 443);
