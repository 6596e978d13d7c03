/** Records for tests of what is made of them: valid as they stand, with any field replaced. */
import type { ConnectionRecord, ExchangeRecord } from '../../src/inspect/records/types.ts';

let made = 0;

export function exchangeRecord(fields: Partial<ExchangeRecord>): ExchangeRecord {
  made++;
  return {
    event: 'exchange',
    exchange: `x-made-${made}`,
    connection: null,
    started: '2026-08-01T12:00:00.000Z',
    client: '127.0.0.1:50000',
    method: 'GET',
    authority: 'api.example:443',
    path: '/',
    http: '1.1',
    upstream_http: '1.1',
    status: 200,
    request_bytes: 0,
    response_bytes: 12,
    certificate: null,
    authorized: true,
    allowed: [],
    reused: false,
    ms: { total: 12.1, connect: 1, tls: 2, wait: 9, body: 0 },
    overrides: null,
    mismatch: null,
    cross_site: null,
    error: null,
    ...fields,
  };
}

export function connectionRecord(fields: Partial<ConnectionRecord>): ConnectionRecord {
  made++;
  return {
    event: 'tls.connected',
    connection: `c-made-${made}`,
    started: '2026-08-01T12:00:00.000Z',
    authority: 'api.example:443',
    address: { ip: '192.0.2.7', port: 443, family: 4 },
    local: { ip: '192.0.2.1', port: 50001, family: 4 },
    via: null,
    tls: {
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      cipher_standard_name: 'TLS_AES_256_GCM_SHA384',
      alpn: 'http/1.1',
      server_name: 'api.example',
      ephemeral_key: { type: 'ECDH', name: 'X25519', size: 253 },
    },
    server: { chain: [] },
    verification: {
      mode: 'enforce',
      rule: null,
      override: false,
      authorized: true,
      allowed: [],
      problems: [],
      revocation: null,
    },
    client_certificate: {
      requested: false,
      sent: false,
      outcome: 'not_requested',
      name: null,
      subject: null,
      issuer: null,
      fingerprint256: null,
      reason: 'no entry matches',
    },
    ms: { dns: 0.5, connect: 1, tls: 2, settle: 0 },
    error: null,
    ...fields,
  };
}
