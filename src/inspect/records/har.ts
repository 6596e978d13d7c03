/**
 * The recent exchanges as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), with a `_tls` block that the format
 * leaves room for: what both sides showed and what was found. It has header fields where they were kept, and of bodies
 * only the sizes.
 */
import { STATUS_CODES } from 'node:http';
import { type FieldPolicy, pairsOf, type RecordedHead, redactFields } from './fields.ts';
import { cookiesOf, setCookiesOf } from './har-cookies.ts';
import type { RecordedExchange } from './recorder.ts';
import type { ConnectionRecord, ExchangeRecord } from './types.ts';

export interface HarOptions {
  /** In any order; an archive is oldest first. */
  readonly exchanges: readonly RecordedExchange[];
  readonly connectionOf: (id: string) => ConnectionRecord | null;
  readonly version: string;
  /** Which fields were kept. */
  readonly fieldPolicy: FieldPolicy;
  /** Secret values too, and cookies; else they are redacted here, even where they were kept. */
  readonly withSecrets: boolean;
}

export type Har = ReturnType<typeof toHar>;

export function toHar({ exchanges, connectionOf, version, fieldPolicy, withSecrets }: HarOptions) {
  const entries = exchanges
    .toSorted((a, b) => a.exchange.started.localeCompare(b.exchange.started))
    .map((recorded) => {
      const { connection } = recorded.exchange;
      return entry(recorded, connection === null ? null : connectionOf(connection), withSecrets);
    });
  const comment = commentOf(fieldPolicy, withSecrets);
  return { log: { version: '1.2', creator: { name: 'mtlsd', version }, comment, entries } };
}

function commentOf(fieldPolicy: FieldPolicy, withSecrets: boolean): string {
  if (fieldPolicy === 'none') return 'no header fields: records.fields in mtlsd.yaml is none';
  return withSecrets
    ? 'holds the secrets of requests and responses: do not share it'
    : 'secret values of header fields are redacted';
}

function entry(
  { exchange, fields: kept }: RecordedExchange,
  connection: ConnectionRecord | null,
  withSecrets: boolean,
) {
  const timings = timingsOf(exchange, connection);
  const fields = withSecrets || !kept ? kept : redactFields(kept);
  return {
    startedDateTime: exchange.started,
    time: exchange.ms.total,
    request: {
      method: exchange.method,
      url: urlOf(exchange, connection),
      httpVersion: httpVersion(exchange.http),
      cookies: withSecrets ? cookiesOf(valuesOf(fields?.request, 'cookie')) : [],
      queryString: queryOf(exchange.path),
      bodySize: exchange.request_bytes,
      ...headOf(fields?.request),
    },
    response: {
      // HAR wants a number; 0 is what browsers write where no response came.
      status: exchange.status ?? 0,
      statusText: STATUS_CODES[exchange.status ?? 0] ?? '',
      httpVersion: httpVersion(exchange.upstream_http ?? exchange.http),
      cookies: withSecrets ? setCookiesOf(valuesOf(fields?.response, 'set-cookie')) : [],
      // HAR wants a type; Chromium writes this one where it knows none.
      content: {
        size: exchange.response_bytes,
        mimeType: valuesOf(fields?.response, 'content-type')[0] ?? 'x-unknown',
      },
      redirectURL: valuesOf(fields?.response, 'location')[0] ?? '',
      bodySize: exchange.response_bytes,
      ...headOf(fields?.response),
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

function headOf(head: RecordedHead | null | undefined) {
  if (!head) return { headers: [], headersSize: -1 };
  const { fields, bytes, omitted } = head;
  const headers = pairsOf(fields).map(([name, value]) => ({ name, value }));
  return { headers, headersSize: bytes ?? -1, ...(omitted > 0 && { _omittedFields: omitted }) };
}

/** @param name lower case */
function valuesOf(head: RecordedHead | null | undefined, name: string): string[] {
  return pairsOf(head?.fields ?? []).flatMap(([each, value]) => (each.toLowerCase() === name ? [value] : []));
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

/** -1 is HAR's "does not apply". Its `connect` includes `ssl`; the parts add up to `time`. */
function timingsOf({ ms, reused }: ExchangeRecord, connection: ConnectionRecord | null) {
  const opened = !reused && connection !== null;
  const dns = opened ? connection.ms.dns : -1;
  const connect = opened ? ms.connect + ms.tls : -1;
  const ssl = opened ? ms.tls : -1;
  const receive = Math.max(0, ms.total - ms.wait - (opened ? dns + connect : 0));
  return { blocked: -1, dns, connect, ssl, send: 0, wait: ms.wait, receive: Math.round(receive * 1000) / 1000 };
}

function tlsBlock({ reused }: ExchangeRecord, connection: ConnectionRecord) {
  const { tls, server, verification, client_certificate, error } = connection;
  return {
    reused,
    protocol: tls?.protocol ?? null,
    cipher: tls?.cipher_standard_name ?? null,
    alpn: tls?.alpn ?? null,
    server_name: tls?.server_name ?? null,
    chain: server.chain,
    verification,
    client_certificate,
    error,
  };
}
