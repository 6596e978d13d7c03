import { expect, test } from 'vitest';
import { MtlsdError } from '../../../../src/core/errors.ts';
import { mayRepeat, mayRetry } from '../../../../src/proxy/exchange/retry.ts';
import { StreamFailure } from '../../../../src/proxy/upstream/stream.ts';

const REFUSED_STREAM = 7;
const CANCEL = 8;
const closed = new StreamFailure('closed', 'closed');
const cutOff = new MtlsdError('TLS_FAILED', 'cut off', {
  nothingSent: true,
  cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }),
});
const first = { method: 'GET', hasBody: false, reused: true, attempts: 1 };

test.each([
  ['an idle connection that died under a GET', { ...first, error: closed }, true],
  ['the same under a POST', { ...first, method: 'POST', error: closed }, false],
  ['the same under a PUT with a body', { ...first, method: 'PUT', hasBody: true, error: closed }, false],
  ['a new connection that closed', { ...first, reused: false, error: closed }, false],
  ['a second time', { ...first, attempts: 2, error: closed }, false],
  [
    'a stream that the origin has not touched',
    { ...first, method: 'POST', error: StreamFailure.reset(REFUSED_STREAM) },
    true,
  ],
  ['a stream that the origin reset', { ...first, error: StreamFailure.reset(CANCEL) }, false],
  ['what is not HTTP', { ...first, error: new StreamFailure('invalid', 'not HTTP') }, false],
  [
    'a handshake cut off without a word, under a POST with a body',
    { ...first, method: 'POST', hasBody: true, error: cutOff },
    true,
  ],
  [
    'a server certificate that was rejected',
    { ...first, error: new MtlsdError('SERVER_CERTIFICATE_REJECTED', 'no') },
    false,
  ],
] as const)('%s', (_name, facts, again) => {
  expect(mayRetry(facts)).toBe(again);
});

test('only methods that RFC 9110 §9.2.2 calls idempotent may be repeated', () => {
  expect(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].every(mayRepeat)).toBe(true);
  expect(['POST', 'PATCH', 'CONNECT', 'PURGE', 'get'].some(mayRepeat)).toBe(false);
});
