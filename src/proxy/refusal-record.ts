/**
 * What was refused before there was an exchange, as a record of one, so that the id in its answer can be looked up: a wrong
 * password, a request that breaks the rules, a client that does not trust the local CA.
 */
import { isoTime } from '../core/time.ts';
import type { ExchangeRecord } from '../inspect/records/types.ts';
import type { Refusal } from './listen/connect.ts';

export function refusalRecord({ exchange, client, target, method, status, error }: Refusal): ExchangeRecord {
  const { code, message, hint, alert } = error;
  return {
    event: 'exchange',
    exchange,
    connection: null,
    started: isoTime(Date.now()),
    client,
    method,
    authority: target,
    path: '',
    http: '1.1',
    upstream_http: null,
    status,
    request_bytes: 0,
    response_bytes: 0,
    certificate: null,
    authorized: null,
    allowed: [],
    reused: false,
    ms: { total: 0, connect: 0, tls: 0, wait: 0, body: 0 },
    overrides: null,
    mismatch: null,
    cross_site: null,
    error: { code, message, hint, alert },
  };
}
