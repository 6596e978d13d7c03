/** What is written down of an exchange: plain data from plain data. */
import { type Authority, parseAuthority } from '../../core/authority.ts';
import { isoTime } from '../../core/time.ts';
import type { ExchangeRecord, RecordError } from '../../inspect/records/types.ts';
import type { ClientConnection, ClientStream } from '../client/stream.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { Routing } from './routing.ts';

export interface ExchangeFacts {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** As performance.now(); 0 for what was not reached. */
  readonly started: number;
  readonly sentAt: number;
  readonly headAt: number;
  readonly connection: ClientConnection;
  readonly stream: Pick<ClientStream, 'http' | 'method' | 'path' | 'host'>;
  readonly routing: Routing | null;
  readonly via: UpstreamConnection | null;
  /** Id of the record of a connection that failed. */
  readonly failedConnection: string | null;
  readonly reused: boolean;
  readonly status: number | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Whether the path keeps its query. */
  readonly logQuery: boolean;
  readonly error: RecordError | null;
}

export function recordOf(facts: ExchangeFacts): ExchangeRecord {
  const { connection, stream, routing, via, reused, error } = facts;
  const { authority, client, serverName } = connection;
  const { method, path, http } = stream;
  const record = via?.record ?? null;
  const query = facts.logQuery ? -1 : path.indexOf('?');
  const now = performance.now();
  return {
    event: 'exchange',
    exchange: facts.id,
    connection: record?.connection ?? facts.failedConnection,
    started: isoTime(facts.startedAt),
    client,
    method,
    authority: authority.text,
    path: query === -1 ? path : path.slice(0, query),
    http,
    upstream_http: via ? (via.alpn === 'h2' ? '2' : '1.1') : null,
    status: facts.status,
    request_bytes: facts.requestBytes,
    response_bytes: facts.responseBytes,
    certificate: routing?.decision.choice.entry?.name ?? null,
    authorized: record?.verification.authorized ?? (error?.code === 'SERVER_CERTIFICATE_REJECTED' ? false : null),
    allowed: record?.verification.allowed ?? [],
    reused,
    ms: {
      total: round(now - facts.started),
      connect: record && !reused ? round(record.ms.dns + record.ms.connect) : 0,
      tls: record && !reused ? round(record.ms.tls + record.ms.settle) : 0,
      wait: facts.headAt > 0 ? round(facts.headAt - facts.sentAt) : 0,
      body: facts.headAt > 0 ? round(now - facts.headAt) : 0,
    },
    overrides: overridesOf(routing),
    mismatch: connection.host === null ? mismatchOf(authority, stream.host, serverName) : null,
    cross_site: routing?.crossSite ?? null,
    error,
  };
}

function overridesOf(routing: Routing | null): ExchangeRecord['overrides'] {
  if (!routing) return null;
  const { certificate, verification, profile } = routing.wish;
  if (certificate === undefined && verification === undefined && profile === undefined) return null;
  return { ...(verification && { verification }), ...(certificate && { certificate }), ...(profile && { profile }) };
}

/** The Host field and the SNI decide nothing here; where they name another place than CONNECT did, it is reported. */
function mismatchOf(
  authority: Authority,
  hostField: string | undefined,
  serverName: string | null,
): ExchangeRecord['mismatch'] {
  const otherHost = hostField !== undefined && !isSame(hostField, authority);
  const otherName = serverName !== null && !isSame(serverName, authority);
  if (!otherHost && !otherName) return null;
  return {
    ...(otherHost && { host: hostField.slice(0, 255) }),
    ...(otherName && { server_name: serverName.slice(0, 255) }),
  };
}

function isSame(name: string, { text, host, port }: Authority): boolean {
  if (name === host || name === text) return true; // nearly always; spares the parse
  try {
    return parseAuthority(name, port).text === text;
  } catch {
    return false;
  }
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
