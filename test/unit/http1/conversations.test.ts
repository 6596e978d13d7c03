import { expect, test } from 'vitest';
import { RequestReader, ResponseReader } from '../../../src/http1/reader.ts';
import { chunkHead, lastChunk, requestHead, responseHead } from '../../../src/http1/write.ts';

const LIMITS = { headBytes: 4096 };

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

test('requests and responses that were written are read back', () => {
  const server = new RequestReader(LIMITS);
  const client = new ResponseReader(LIMITS);
  const fields = ['Host', 'a.example', 'X-Odd', 'caf\xe9', 'x-odd', '', 'Transfer-Encoding', 'chunked'];

  server.feed(latin1(`${requestHead('POST', '/p\xe9?q=1', fields)}${chunkHead(5)}hello\r\n${lastChunk(['Sum', '1'])}`));
  expect(server.next()).toEqual({
    kind: 'head',
    head: {
      method: 'POST',
      target: '/p\xe9?q=1',
      version: '1.1',
      fields,
      framing: { kind: 'chunked' },
      keepAlive: true,
    },
  });
  expect(server.next()).toEqual({ kind: 'data', bytes: latin1('hello') });
  expect(server.next()).toEqual({ kind: 'end', trailers: ['Sum', '1'] });
  expect(server.next()).toBeNull();
  expect(server.idle).toBe(true);

  client.expect('POST');
  client.feed(latin1(responseHead(103, '', ['Link', '</a>'])));
  client.feed(latin1(`${responseHead(200, 'caf\xe9 ok', ['Content-Length', '3', 'Connection', 'close'])}abc`));
  expect(client.next()).toMatchObject({ kind: 'head', head: { status: 103, reason: '', fields: ['Link', '</a>'] } });
  expect(client.idle).toBe(false);
  expect(client.next()).toMatchObject({
    kind: 'head',
    head: { status: 200, reason: 'caf\xe9 ok', framing: { kind: 'length', length: 3 }, keepAlive: false },
  });
  expect(client.next()).toEqual({ kind: 'data', bytes: latin1('abc') });
  expect(client.next()).toEqual({ kind: 'end', trailers: [] });
  expect(client.next()).toBeNull();
  expect(client.idle).toBe(true);
});

test('what follows a CONNECT or an upgrade is the rest, on both sides', () => {
  const server = new RequestReader(LIMITS);
  server.feed(latin1(`${requestHead('CONNECT', 'a:443', ['Host', 'a:443'])}\x16\x03`));
  expect(server.next()).toMatchObject({ kind: 'head', head: { method: 'CONNECT', framing: { kind: 'none' } } });
  expect(server.next()).toEqual({ kind: 'end', trailers: [] });
  expect(server.takeRest()).toEqual(latin1('\x16\x03'));
  expect(server.idle).toBe(true);

  for (const [method, status] of [
    ['CONNECT', 200],
    ['GET', 101],
  ] as const) {
    const client = new ResponseReader(LIMITS);
    client.expect(method);
    client.expect('GET');
    client.feed(latin1(`${responseHead(status, '', ['Content-Length', '7'])}HTTP/1.1 rest`));
    expect(client.next()).toMatchObject({ kind: 'head', head: { status, framing: { kind: 'none' } } });
    expect(client.next()).toEqual({ kind: 'end', trailers: [] });
    expect(client.next()).toBeNull();
    expect(client.takeRest()).toEqual(latin1('HTTP/1.1 rest'));
    client.finish();
  }
});

test('a body without a length ends with the connection', () => {
  const client = new ResponseReader(LIMITS);
  client.expect('GET');
  client.feed(latin1(`${responseHead(200, 'OK', [])}abc`));
  client.finish();
  expect(client.next()).toMatchObject({ kind: 'head', head: { framing: { kind: 'close' }, keepAlive: false } });
  expect(client.next()).toEqual({ kind: 'data', bytes: latin1('abc') });
  expect(client.next()).toEqual({ kind: 'end', trailers: [] });
  expect(client.next()).toBeNull();
});

test('nothing is read that nothing was expected for', () => {
  const client = new ResponseReader(LIMITS);
  expect(client.idle).toBe(true);
  client.feed(latin1(responseHead(408, 'Request Timeout', [])));
  expect(client.next()).toBeNull();
  expect(client.idle).toBe(false);
  client.finish();
  expect(client.takeRest().toString('latin1')).toMatch(/^HTTP\/1\.1 408 /);
  expect(client.idle).toBe(true);
});
