/** Host patterns: `api.example`, `*.example`, `*` or an address, with a port or `*`; and which of many an authority gets. */
import { isIP } from 'node:net';
import { type Authority, canonicalHost } from './authority.ts';

/** A pattern in canonical form. */
export interface HostPort {
  readonly host: string;
  readonly port: number | '*';
}

/** `*`, `*.suffix` or an exact host, canonical; null for anything else. */
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

/** Most hosts have one port: a pair is a tenth of a Map, and 10,000 of them are made at each load. */
type Ports<T> = { readonly port: number | '*'; value: T } | Map<number | '*', T>;

/**
 * The pattern that applies to an authority, by hash look-ups only: one for the exact host, one for each of its parent domains,
 * one for `*`. The cost depends on the labels of the name and not on the number of patterns.
 *
 * An exact host beats a wildcard, a longer suffix a shorter one, and for equal hosts an exact port beats `*`. Among equals
 * the last one added wins.
 */
export class HostIndex<T> {
  readonly #exact = new Map<string, Ports<T>>();
  readonly #suffix = new Map<string, Ports<T>>();
  #any: Ports<T> | undefined;

  /** Replaces what had the same host and port. */
  add({ host, port }: HostPort, value: T): void {
    if (host === '*') this.#any = withPort(this.#any, port, value);
    else if (host.startsWith('*.')) addTo(this.#suffix, host.slice(2), port, value);
    else addTo(this.#exact, host, port, value);
  }

  /** What was added last with exactly this pattern. */
  at({ host, port }: HostPort): T | undefined {
    if (host === '*') return valueAt(this.#any, port);
    return valueAt(host.startsWith('*.') ? this.#suffix.get(host.slice(2)) : this.#exact.get(host), port);
  }

  /** All values, in no order. */
  *values(): Generator<T> {
    const all = [...this.#exact.values(), ...this.#suffix.values(), ...(this.#any === undefined ? [] : [this.#any])];
    for (const ports of all) {
      if (ports instanceof Map) yield* ports.values();
      else yield ports.value;
    }
  }

  find({ host, port, kind }: Authority): T | undefined {
    const found = pick(this.#exact.get(host), port);
    if (found !== undefined) return found;
    if (kind === 'name' && this.#suffix.size > 0) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const found = pick(this.#suffix.get(host.slice(dot + 1)), port);
        if (found !== undefined) return found;
      }
    }
    return pick(this.#any, port);
  }
}

function addTo<T>(map: Map<string, Ports<T>>, host: string, port: number | '*', value: T): void {
  const old = map.get(host);
  const ports = withPort(old, port, value);
  if (ports !== old) map.set(host, ports);
}

function withPort<T>(ports: Ports<T> | undefined, port: number | '*', value: T): Ports<T> {
  if (ports === undefined) return { port, value };
  if (ports instanceof Map) return ports.set(port, value);
  if (ports.port !== port)
    return new Map([
      [ports.port, ports.value],
      [port, value],
    ]);
  ports.value = value;
  return ports;
}

function valueAt<T>(ports: Ports<T> | undefined, port: number | '*'): T | undefined {
  if (ports === undefined || ports instanceof Map) return ports?.get(port);
  return ports.port === port ? ports.value : undefined;
}

function pick<T>(ports: Ports<T> | undefined, port: number): T | undefined {
  return ports && (valueAt(ports, port) ?? valueAt(ports, '*'));
}

/** Whether a pattern covers a host on any port. */
export function coversHost(pattern: string, { host, kind }: Pick<Authority, 'host' | 'kind'>): boolean {
  if (pattern === '*' || pattern === host) return true;
  return (
    kind === 'name' && pattern.startsWith('*.') && host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1
  );
}

export function coversPort(pattern: number | '*', port: number): boolean {
  return pattern === '*' || pattern === port;
}

/** `exact host and port`, `wildcard *.corp.example, any port`, … */
export function reasonOf({ host, port }: HostPort): string {
  if (host === '*') return port === '*' ? 'any host, any port' : `any host, port ${port}`;
  if (host.startsWith('*.')) return `wildcard ${host}, ${port === '*' ? 'any port' : `port ${port}`}`;
  return port === '*' ? 'exact host, any port' : 'exact host and port';
}
