/** What a person types for a place: a URL, HOST or HOST:PORT; with wildcards where a pattern is meant. */
import { type Authority, parseAuthority, tellable } from '../core/authority.ts';
import { canonicalPattern } from '../core/hosts.ts';
import { usage } from './errors.ts';

export interface Target {
  readonly authority: Authority;
  readonly scheme: 'http' | 'https';
}

/** @throws CliError usage */
export function parseTarget(text: string): Target {
  const [, scheme = 'https', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/is.exec(text) ?? [];
  const plain = /^(http|ws)$/i.test(scheme);
  if (!plain && !/^(https|wss)$/i.test(scheme))
    throw usage(`${scheme}: is not a scheme of HTTP`, 'give https://HOST, or HOST:PORT');
  const host = rest.split(/[/?#]/)[0]?.replace(/^[^@]*@/, '') ?? '';
  try {
    return { authority: parseAuthority(host, plain ? 80 : 443), scheme: plain ? 'http' : 'https' };
  } catch {
    throw usage(`invalid address ${JSON.stringify(tellable(text))}`, 'give https://HOST, or HOST:PORT');
  }
}

export interface Pattern {
  readonly host: string;
  readonly port: number | '*' | undefined;
}

/**
 * The host of a command that takes it as its argument or as `--host`.
 * @throws CliError usage where it is given twice, or not at all
 */
export function hostOf(argument: string | undefined, option: string | undefined): string {
  if (argument !== undefined && option !== undefined && argument !== option)
    throw usage(`two hosts are given: ${argument} and ${option}`, 'give the host once');
  const host = argument ?? option;
  if (host === undefined) throw usage('no host is given', 'give HOST, HOST:PORT, "*.SUFFIX" or HOST:*');
  return host;
}

/** `api.example`, `*.corp.example:8443`, `api.example:*`, `[::1]:443`, `https://api.example/` */
export function parsePattern(text: string): Pattern {
  const bare = text.replace(/^https:\/\//i, '').replace(/[/?#].*$/, '');
  const [, v6, name, port] =
    /^(?:\[([^\]]+)\]|([^:]+|[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*))(?::(\d{1,5}|\*))?$/i.exec(bare) ?? [];
  const host = v6 ?? name;
  if (host === undefined || canonicalPattern(host) === null)
    throw usage(`invalid host ${JSON.stringify(text)}`, 'give HOST, HOST:PORT, "*.SUFFIX" or HOST:*');
  return { host, port: port === undefined ? undefined : port === '*' ? '*' : Number(port) };
}
