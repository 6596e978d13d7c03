import { describe, expect, test } from 'vitest';
import { keepHead, redactFields } from '../../../../src/inspect/records/fields.ts';
import { responseHead } from '../../../../src/proxy/exchange/heads.ts';

const shown = (name: string, value: string) => keepHead([name, value], null, 'redacted').fields[1];

describe('redacted', () => {
  test.each([
    ['Authorization', 'Basic YTpi'],
    ['PROXY-AUTHORIZATION', 'Basic YTpi'],
    ['Authentication-Info', 'rspauth="6629"'],
    ['cookie', 'a=b'],
    ['Set-Cookie', 'a=b'],
    ['X-Amz-Security-Token', 'FwoG'],
    ['Ocp-Apim-Subscription-Key', 'abc'],
    ['x-goog-api-key', 'abc'],
    ['ApiKey', 'abc'],
    ['X-Client-Secret', 'abc'],
    ['X-User-Password', 'abc'],
    ['X-Auth', 'abc'],
    ['X-Session-Id', 'abc'],
    ['X-Hub-Signature-256', 'sha256=ab'],
    ['DPoP', 'abc'],
    ['Sec-WebSocket-Protocol', 'base64url.bearer.authorization.k8s.io.YWJj, v4.channel.k8s.io'],
    ['WWW-Authenticate', 'Negotiate oYG2'],
    ['X-Anything', 'bearer abc'],
    ['X-Anything', 'id eyJhbGciOiJIUzI1NiJ9.e30.c2ln'],
  ])('%s: %s', (name, value) => {
    expect(shown(name, value)).toBe('[redacted]');
    expect(keepHead([name, value], null, 'all').fields[1]).toBe(value);
  });

  test.each([
    ['Accept', '*/*'],
    ['Content-Type', 'text/html; charset=utf-8'],
    ['WWW-Authenticate', 'Basic realm="here"'],
    ['WWW-Authenticate', 'Negotiate'],
    ['sec-ch-ua-mobile', '?0'],
    ['X-Author', 'me'],
    ['Location', '/next'],
  ])('not %s: %s', (name, value) => {
    expect(shown(name, value)).toBe(value);
  });

  test.each([
    ['Location', '/cb?code=1#id_token=2', '/cb?[redacted]'],
    ['Location', '#access_token=2', '?[redacted]'],
    ['Referer', 'https://u:p@a.example/x?y=1', 'https://a.example/x?[redacted]'],
    ['Link', '<https://a.example/?page=2&t=1>; rel="next"', '<https://a.example/?[redacted]>; rel="next"'],
    ['X-Original-URI', '/a?token=1', '/a?[redacted]'],
    ['X-Anything', 'see https://a.example/?t=1', 'see https://a.example/?[redacted]'],
  ])('the query and the user of a URL in %s: %s', (name, value, left) => {
    expect(shown(name, value)).toBe(left);
    const head = { fields: [name, left], bytes: 1, omitted: 2 };
    expect(redactFields({ request: head, response: null })).toEqual({ request: head, response: null });
  });
});

test('a head keeps what fits into 16 KiB, and counts the rest', () => {
  const head = keepHead(['A', 'x'.repeat(10_000), 'B', 'x'.repeat(10_000), 'C', 'y'], 7, 'all');
  expect([head.fields.filter((_, i) => i % 2 === 0), head.omitted, head.bytes]).toEqual([['A', 'C'], 1, 7]);
});

test('the size of a response is that of the wire', () => {
  const wire = 'HTTP/1.1 404 Not Found\r\nA: b\r\nServer: x\r\n\r\n';
  expect(responseHead('1.1', 'Not Found', ['A', 'b', 'Server', 'x'], 'all').bytes).toBe(wire.length);
  expect(responseHead('2', '', ['a', 'b'], 'all').bytes).toBeNull();
});
