/**
 * Which of many host patterns applies to an authority. Pure. Hash look-ups only: one for the exact host, one for each of its
 * parent domains, one for `*`, so the cost depends on the labels of the name and not on the number of patterns.
 *
 * An exact host beats a wildcard, a longer suffix a shorter one, and for equal hosts an exact port beats `*`. Among equals
 * the last one added wins.
 */
import type { Authority } from '../../core/authority.ts';
import type { HostPort } from './parsed.ts';

type Ports<T> = Map<number | '*', T>;

export class HostIndex<T> {
  readonly #exact = new Map<string, Ports<T>>();
  readonly #suffix = new Map<string, Ports<T>>();
  readonly #any: Ports<T> = new Map();

  /** Replaces what had the same host and port. */
  add({ host, port }: HostPort, value: T): void {
    this.#portsOf(host).set(port, value);
  }

  /** What was added last with exactly this pattern. */
  at({ host, port }: HostPort): T | undefined {
    return this.#portsOf(host).get(port);
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
    return this.#any.size === 0 ? undefined : pick(this.#any, port);
  }

  #portsOf(host: string): Ports<T> {
    if (host === '*') return this.#any;
    const wildcard = host.startsWith('*.');
    const map = wildcard ? this.#suffix : this.#exact;
    const key = wildcard ? host.slice(2) : host;
    let ports = map.get(key);
    if (!ports) map.set(key, (ports = new Map()));
    return ports;
  }
}

function pick<T>(ports: Ports<T> | undefined, port: number): T | undefined {
  return ports && (ports.get(port) ?? ports.get('*'));
}

/** Whether a pattern covers a host at all, whatever the port. */
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
