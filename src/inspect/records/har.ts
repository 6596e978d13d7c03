/**
 * The recent exchanges as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), with a `_tls` block that the format
 * leaves room for: what both sides showed and what was found. Records hold neither header fields nor bodies, so those
 * are empty, with the sizes that are known.
 */
import { STATUS_CODES } from 'node:http';
import type { ConnectionRecord, ExchangeRecord } from './types.ts';

export interface HarOptions {
  /** In any order; an archive is oldest first. */
  readonly exchanges: readonly ExchangeRecord[];
  readonly connectionOf: (id: string) => ConnectionRecord | null;
  readonly version: string;
}

export interface Har {
  readonly log: {
    readonly version: '1.2';
    readonly creator: { readonly name: string; readonly version: string };
    readonly entries: readonly HarEntry[];
  };
}

export interface HarEntry {
  readonly startedDateTime: string;
  readonly time: number;
  readonly request: object;
  readonly response: object;
  readonly cache: object;
  readonly timings: HarTimings;
  readonly serverIPAddress?: string;
  readonly connection?: string;
  readonly comment?: string;
  readonly _exchange: string;
  readonly _certificate: string | null;
  readonly _error: ExchangeRecord['error'];
  readonly _tls: TlsBlock | null;
}

/** -1 is HAR's "does not apply". */
export interface HarTimings {
  readonly blocked: number;
  readonly dns: number;
  readonly connect: number;
  readonly ssl: number;
  readonly send: number;
  readonly wait: number;
  readonly receive: number;
}

export interface TlsBlock {
  readonly reused: boolean;
  readonly protocol: string | null;
  readonly cipher: string | null;
  readonly alpn: string | null;
  readonly server_name: string | null;
  readonly chain: ConnectionRecord['server']['chain'];
  readonly verification: ConnectionRecord['verification'];
  readonly client_certificate: ConnectionRecord['client_certificate'];
  readonly error: ConnectionRecord['error'];
}

export function toHar({ exchanges, connectionOf, version }: HarOptions): Har {
  const entries = exchanges
    .toSorted((a, b) => a.started.localeCompare(b.started))
    .map((exchange) => entry(exchange, exchange.connection === null ? null : connectionOf(exchange.connection)));
  return { log: { version: '1.2', creator: { name: 'mtlsd', version }, entries } };
}

function entry(exchange: ExchangeRecord, connection: ConnectionRecord | null): HarEntry {
  const timings = timingsOf(exchange, connection);
  return {
    startedDateTime: exchange.started,
    time: exchange.ms.total,
    request: {
      method: exchange.method,
      url: urlOf(exchange, connection),
      httpVersion: httpVersion(exchange.http),
      cookies: [],
      headers: [],
      queryString: queryOf(exchange.path),
      headersSize: -1,
      bodySize: exchange.request_bytes,
    },
    response: {
      // HAR wants a number; 0 is what browsers write where no response came.
      status: exchange.status ?? 0,
      statusText: STATUS_CODES[exchange.status ?? 0] ?? '',
      httpVersion: httpVersion(exchange.upstream_http ?? exchange.http),
      cookies: [],
      headers: [],
      content: { size: exchange.response_bytes, mimeType: 'x-unknown' },
      redirectURL: '',
      headersSize: -1,
      bodySize: exchange.response_bytes,
    },
    cache: {},
    timings,
    ...(connection?.address ? { serverIPAddress: connection.address.ip } : {}),
    ...(exchange.connection === null ? {} : { connection: exchange.connection }),
    ...(exchange.error ? { comment: `${exchange.error.code}: ${exchange.error.message}` } : {}),
    _exchange: exchange.exchange,
    _certificate: exchange.certificate,
    _error: exchange.error,
    _tls: connection && tlsBlock(exchange, connection),
  };
}

/** A record of an exchange does not say its scheme; only one over TLS has a connection record, or an error before it. */
function urlOf({ authority, path, authorized }: ExchangeRecord, connection: ConnectionRecord | null): string {
  const secure = connection !== null || authorized !== null || authority.endsWith(':443');
  const host = authority.replace(secure ? /:443$/ : /:80$/, '');
  return `${secure ? 'https' : 'http'}://${host}${path}`;
}

function httpVersion(version: string): string {
  return version.startsWith('2') ? 'h2' : `HTTP/${version}`;
}

function queryOf(path: string): { name: string; value: string }[] {
  const start = path.indexOf('?');
  return start < 0 ? [] : [...new URLSearchParams(path.slice(start + 1))].map(([name, value]) => ({ name, value }));
}

/** HAR's `connect` includes `ssl`; the parts add up to `time`. */
function timingsOf({ ms, reused }: ExchangeRecord, connection: ConnectionRecord | null): HarTimings {
  const opened = !reused && connection !== null;
  const dns = opened ? connection.ms.dns : -1;
  const connect = opened ? ms.connect + ms.tls : -1;
  const ssl = opened ? ms.tls : -1;
  const receive = Math.max(0, ms.total - ms.wait - (opened ? dns + connect : 0));
  return { blocked: -1, dns, connect, ssl, send: 0, wait: ms.wait, receive: Math.round(receive * 1000) / 1000 };
}

function tlsBlock(exchange: ExchangeRecord, connection: ConnectionRecord): TlsBlock {
  const { tls } = connection;
  return {
    reused: exchange.reused,
    protocol: tls?.protocol ?? null,
    cipher: tls?.cipher_standard_name ?? null,
    alpn: tls?.alpn ?? null,
    server_name: tls?.server_name ?? null,
    chain: connection.server.chain,
    verification: connection.verification,
    client_certificate: connection.client_certificate,
    error: connection.error,
  };
}
