import { beforeAll, describe, expect, test } from 'vitest';
import { certificateFacts } from '../../../../src/core/facts.ts';
import { type HarOptions, toHar } from '../../../../src/inspect/records/har.ts';
import type { RecordedExchange } from '../../../../src/inspect/records/recorder.ts';
import type { ConnectionRecord, ExchangeRecord } from '../../../../src/inspect/records/types.ts';
import { createPki } from '../../../support/pki.ts';
import { connectionRecord, exchangeRecord } from '../../../support/records.ts';

let connection: ConnectionRecord;

beforeAll(async () => {
  const root = await (await createPki()).root({ cn: 'root' });
  const leaf = await root.issue({ cn: 'api.example' });
  connection = connectionRecord({
    connection: 'c-1',
    server: { chain: [certificateFacts(leaf.x509), certificateFacts(root.x509)] },
    client_certificate: {
      requested: true,
      sent: true,
      outcome: 'sent',
      name: 'partner',
      subject: 'CN=alice',
      issuer: null,
      fingerprint256: 'AA:BB',
      reason: 'exact host and port',
    },
    ms: { dns: 1, connect: 2, tls: 3, settle: 0 },
  });
});

const har = (...exchanges: ExchangeRecord[]) => harOf(exchanges.map((exchange) => ({ exchange, fields: null })));

const harOf = (exchanges: readonly RecordedExchange[], options: Partial<HarOptions> = {}) =>
  toHar({
    exchanges,
    version: '1.2.3',
    connectionOf: (id) => (id === connection.connection ? connection : null),
    fieldPolicy: 'none',
    withSecrets: false,
    ...options,
  }).log;

test('an entry has the request, the response, and both certificates', () => {
  const { version, creator, entries } = har(
    exchangeRecord({
      exchange: 'x-1',
      connection: 'c-1',
      method: 'POST',
      path: '/v1/orders?a=1&b=x%20y',
      certificate: 'partner',
      request_bytes: 5,
      response_bytes: 1024,
      ms: { total: 20, connect: 2, tls: 3, wait: 11, body: 3 },
    }),
  );
  expect({ version, creator }).toEqual({ version: '1.2', creator: { name: 'mtlsd', version: '1.2.3' } });
  expect(entries).toMatchObject([
    {
      startedDateTime: '2026-08-01T12:00:00.000Z',
      time: 20,
      request: {
        method: 'POST',
        url: 'https://api.example/v1/orders?a=1&b=x%20y',
        httpVersion: 'HTTP/1.1',
        queryString: [
          { name: 'a', value: '1' },
          { name: 'b', value: 'x y' },
        ],
        bodySize: 5,
      },
      response: { status: 200, bodySize: 1024, content: { size: 1024 } },
      timings: { blocked: -1, dns: 1, connect: 5, ssl: 3, send: 0, wait: 11, receive: 3 },
      serverIPAddress: '192.0.2.7',
      connection: 'c-1',
      _exchange: 'x-1',
      _certificate: 'partner',
      _tls: {
        reused: false,
        protocol: 'TLSv1.3',
        chain: [{ subject: 'CN=api.example' }, { subject: 'CN=root' }],
        verification: { authorized: true },
        client_certificate: { outcome: 'sent', subject: 'CN=alice' },
      },
    },
  ]);
});

test('the timings that apply add up to the time', () => {
  for (const reused of [true, false]) {
    const [entry] = har(
      exchangeRecord({ connection: 'c-1', reused, ms: { total: 30, connect: 2, tls: 3, wait: 7, body: 0 } }),
    ).entries;
    const { dns, connect, send, wait, receive } = entry?.timings ?? {
      dns: 0,
      connect: 0,
      send: 0,
      wait: 0,
      receive: 0,
    };
    const sum = [dns, connect, send, wait, receive].filter((ms) => ms >= 0).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(30);
  }
});

test('entries are oldest first', () => {
  const { entries } = har(
    exchangeRecord({ exchange: 'new', started: '2026-08-01T12:00:02.000Z' }),
    exchangeRecord({ exchange: 'old', started: '2026-08-01T12:00:01.000Z' }),
  );
  expect(entries.map(({ _exchange }) => _exchange)).toEqual(['old', 'new']);
});

test('a failure says why, and has no response', () => {
  const error = { code: 'TLS_FAILED', message: 'it failed', hint: 'try', alert: null } as const;
  const [entry] = har(exchangeRecord({ status: null, error, authorized: null, connection: 'c-forgotten' })).entries;
  expect(entry).toMatchObject({ comment: 'TLS_FAILED: it failed', _error: error, _tls: null, response: { status: 0 } });
});

describe('the URL', () => {
  test.each([
    [{ authority: 'a.example:443', connection: 'c-1' }, 'https://a.example/'],
    [{ authority: '[::1]:8443', connection: 'c-1' }, 'https://[::1]:8443/'],
    [{ authority: 'a.example:80', authorized: null }, 'http://a.example/'],
    [{ authority: 'a.example:8080', authorized: null }, 'http://a.example:8080/'],
    [{ authority: 'a.example:443', authorized: null }, 'https://a.example/'],
  ])('of %j', (fields, url) => {
    expect(har(exchangeRecord(fields)).entries[0]?.request).toMatchObject({ url });
  });
});
