import { expect, test } from 'vitest';
import { forwardRequestFields, forwardResponseFields, forwardTrailers } from '../../../../src/proxy/exchange/fields.ts';

test('hop-by-hop fields and those that Connection names stay here; order, case and duplicates go on', () => {
  const { fields, host, teTrailers } = forwardRequestFields([
    ...['Host', 'api.example', 'X-One', '1', 'x-ONE', '2', 'Connection', 'X-Named, close', 'X-Named', 'gone'],
    ...['Keep-Alive', '5', 'TE', 'trailers, deflate', 'Proxy-Authorization', 'Basic canary', 'Upgrade', 'h2c'],
    ...['__proto__', 'p', 'Expect', '100-continue'],
  ]);
  expect(fields).toEqual(['X-One', '1', 'x-ONE', '2', '__proto__', 'p']);
  expect({ host, teTrailers }).toEqual({ host: 'api.example', teTrailers: true });
});

test('Connection cannot take away what decides framing, routing or a page of another site', () => {
  const named = 'Content-Length, Content-Type, Authorization, Cookie, Origin, Sec-Fetch-Site, Mtlsd-Certificate';
  const { fields, browser, certificate } = forwardRequestFields([
    ...['Connection', named, 'Content-Length', '3', 'Cookie', 'c', 'Origin', 'https://evil.test'],
    ...['Sec-Fetch-Site', 'cross-site', 'Mtlsd-Certificate', 'none'],
  ]);
  expect(fields).toEqual([
    ...['Content-Length', '3', 'Cookie', 'c', 'Origin', 'https://evil.test', 'Sec-Fetch-Site', 'cross-site'],
  ]);
  expect(browser).toMatchObject({ site: 'cross-site', origin: 'https://evil.test' });
  expect(certificate).toBe('none');
});

test('two Host fields are refused', () => {
  expect(() => forwardRequestFields(['Host', 'a', 'host', 'b'])).toThrow('two Host fields');
});

test('a response without a body carries no Content-Length where RFC 9110 §8.6 forbids it', () => {
  expect(forwardResponseFields(['Content-Length', '5', 'X', 'y'], 204)).toEqual(['X', 'y']);
  expect(forwardResponseFields(['Content-Length', '5', 'X', 'y'], 304)).toEqual(['Content-Length', '5', 'X', 'y']);
});

test('trailers change neither framing nor routing nor who is asked', () => {
  const trailers = [
    'grpc-status',
    '0',
    'Content-Length',
    '5',
    'Host',
    'x',
    'TE',
    'trailers',
    'Transfer-Encoding',
    'chunked',
  ];
  const own = ['Mtlsd-Certificate', 'other', 'Proxy-Authorization', 'Basic canary'];
  expect(forwardTrailers([...trailers, ...own])).toEqual(['grpc-status', '0']);
});
