import { describe, expect, test } from 'vitest';
import { Http1Error } from '../../../src/http1/errors.ts';
import { LINE_EXTENSION_BYTES, MESSAGE_EXTENSION_BYTES } from '../../../src/http1/limits.ts';
import { RequestReader, ResponseReader } from '../../../src/http1/reader.ts';
import { drain, everySplit, LIMITS, latin1, readRequests, readResponses } from './feed.ts';

const CHUNKED = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('the end of a connection', () => {
  /** Every beginning of these messages but the whole of them is incomplete. */
  const REQUESTS = [
    'GET / HTTP/1.1\r\nA: b\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
    `${CHUNKED}2;a\r\nhi\r\n0\r\nA: b\r\n\r\n`,
  ];
  test.each(REQUESTS.map((text) => [text]))('within %j', (text) => {
    for (let length = 1; length < text.length; length++) {
      const { error } = readRequests([latin1(text.slice(0, length))], true);
      expect(error?.code, `after ${length} bytes`).toBe('TRUNCATED');
      expect(readRequests([latin1(text + text.slice(0, length))], true)).toMatchObject({
        messages: { 0: { trailers: expect.any(Array) } },
        error: { code: 'TRUNCATED' },
      });
    }
    expect(readRequests([latin1(text)], true).error).toBeNull();
  });

  test.each([
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    'HTTP/1.1 103 \r\n\r\nHTTP/1.1 204 \r\n\r\n',
  ])('within %j, or before it', (text) => {
    for (let length = 0; length < text.length; length++) {
      expect(readResponses(['GET'], [latin1(text.slice(0, length))], true).error?.code, `after ${length} bytes`).toBe(
        'TRUNCATED',
      );
    }
    expect(readResponses(['GET'], [latin1(text)], true).error).toBeNull();
    expect(readResponses(['GET', 'GET'], [latin1(text)], true).error?.code).toBe('TRUNCATED');
  });

  test('nothing is missing where nothing was sent, or only empty lines', () => {
    expect(readRequests([], true)).toMatchObject({ error: null, idle: true });
    expect(readRequests([latin1('\r\n\r\n')], true)).toMatchObject({ error: null, idle: true });
    expect(readRequests([latin1('\r')], true)).toMatchObject({ error: { code: 'TRUNCATED' } });
    expect(readResponses([], [], true)).toMatchObject({ error: null, idle: true });
  });

  test('bytes that were fed before it are read first', () => {
    const reader = new RequestReader(LIMITS);
    reader.feed(latin1('GET /1 HTTP/1.1\r\n\r\nGET /2 HT'));
    reader.finish();
    expect(reader.next()).toMatchObject({ kind: 'head', head: { target: '/1' } });
    expect(reader.next()).toEqual({ kind: 'end', trailers: [] });
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'TRUNCATED' }));
  });

  test('an end that is not taken yet is not missing', () => {
    const reader = new RequestReader(LIMITS);
    reader.feed(latin1('POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na'));
    expect(reader.next()).toMatchObject({ kind: 'head' });
    expect(reader.next()).toMatchObject({ kind: 'data' });
    reader.finish();
    expect(reader.next()).toEqual({ kind: 'end', trailers: [] });
    expect(reader.next()).toBeNull();
  });

  test('a body that it delimits ends once', () => {
    const reader = new ResponseReader(LIMITS);
    reader.expect('GET');
    reader.feed(latin1('HTTP/1.1 200 OK\r\n\r\n'));
    expect(reader.next()).toMatchObject({ kind: 'head' });
    expect(reader.next()).toBeNull();
    reader.finish();
    expect(reader.next()).toEqual({ kind: 'end', trailers: [] });
    expect(reader.next()).toBeNull();
    expect(reader.idle).toBe(true);
  });
});

describe('a reader', () => {
  test('is idle between messages only', () => {
    const text = `\r\n${CHUNKED}1\r\na\r\n0\r\n\r\n`;
    const idleAt: number[] = [];
    const reader = new RequestReader(LIMITS);
    expect(reader.idle).toBe(true);
    for (const [at, byte] of latin1(text).entries()) {
      reader.feed(Buffer.of(byte));
      expect(reader.idle).toBe(false);
      while (reader.next() !== null);
      if (reader.idle) idleAt.push(at + 1);
    }
    expect(idleAt).toEqual([2, text.length]);
  });

  test('is not idle while an end waits to be taken', () => {
    const reader = new RequestReader(LIMITS);
    reader.feed(latin1('GET / HTTP/1.1\r\n\r\n'));
    reader.next();
    expect(reader.idle).toBe(false);
    reader.next();
    expect(reader.idle).toBe(true);
  });

  test('gives parts of what was fed, not copies', () => {
    const fed = latin1('POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc');
    const reader = new RequestReader(LIMITS);
    reader.feed(fed);
    reader.next();
    const event = reader.next();
    fed[fed.length - 1] = 0x64;
    expect(event).toEqual({ kind: 'data', bytes: latin1('abd') });
  });

  test('keeps the order of buffers that were fed in one go, empty ones included', () => {
    const reader = new RequestReader(LIMITS);
    for (const piece of [
      'GET / HT',
      '',
      'TP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-',
      'Length: 4\r\n\r\na',
      '',
      'b',
      'cdre',
      'st',
    ]) {
      reader.feed(latin1(piece));
    }
    const seen: unknown[] = [];
    for (let count = 0; count < 7; count++) {
      const event = reader.next();
      seen.push(event?.kind === 'data' ? event.bytes.toString() : event?.kind);
    }
    expect(seen).toEqual(['head', 'end', 'head', 'a', 'b', 'cd', 'end']);
    expect(reader.takeRest()).toEqual(latin1('rest'));
    expect(reader.takeRest()).toEqual(latin1(''));
    for (const piece of ['GET /3 HT', 'TP/1.1\r\n', '\r\n']) reader.feed(latin1(piece));
    expect(reader.next()).toMatchObject({ kind: 'head', head: { target: '/3' } });
    expect(reader.next()).toEqual({ kind: 'end', trailers: [] });
    expect(reader.idle).toBe(true);
  });

  test('that threw is dead: it throws the same again and keeps nothing', () => {
    const reader = new RequestReader(LIMITS);
    reader.feed(latin1('GET  / HTTP/1.1\r\n\r\n'));
    const thrown: unknown[] = [];
    const calls = [() => reader.next(), () => reader.next(), () => reader.finish(), () => reader.next()];
    for (const call of calls) {
      try {
        call();
      } catch (error) {
        thrown.push(error);
      }
      reader.feed(latin1('GET / HTTP/1.1\r\n\r\n'));
    }
    expect(thrown).toHaveLength(4);
    expect(thrown[0]).toBeInstanceOf(Http1Error);
    expect(new Set(thrown).size).toBe(1);
    expect(reader.idle).toBe(false);
    expect(reader.takeRest()).toHaveLength(0);
  });
});

describe('limits', () => {
  const limits = { headBytes: 64 };
  const HEADS: [name: string, read: typeof readRequests, before: string, head: (length: number) => string][] = [
    ['a target', readRequests, '', (length) => `GET /${'a'.repeat(length - 18)} HTTP/1.1\r\n\r\n`],
    ['a method', readRequests, '', (length) => `${'M'.repeat(length - 15)} / HTTP/1.1\r\n\r\n`],
    ['a value', readRequests, '', (length) => `GET / HTTP/1.1\r\na: ${'b'.repeat(length - 23)}\r\n\r\n`],
    [
      'many fields',
      readRequests,
      '',
      (length) => `GET / HTTP/1.1\r\n${'a:\r\n'.repeat(10)}b:${'b'.repeat(length - 62)}\r\n\r\n`,
    ],
    [
      'the second head',
      readRequests,
      'GET / HTTP/1.1\r\n\r\n',
      (length) => `GET /${'a'.repeat(length - 18)} HTTP/1.1\r\n\r\n`,
    ],
    ['the trailers', readRequests, `${CHUNKED}0\r\n`, (length) => `a: ${'b'.repeat(length - 7)}\r\n\r\n`],
  ];

  test.each(HEADS)('%s', (_name, read, before, head) => {
    expect(head(64)).toHaveLength(64);
    expect(everySplit(before + head(64), (pieces) => read(pieces, false, limits))).toMatchObject({
      error: null,
      idle: true,
    });
    const { error, refusedAt } = everySplit(before + head(65), (pieces) => read(pieces, false, limits));
    expect(error?.code).toBe('HEAD_TOO_LARGE');
    expect(refusedAt).toBe(before.length + 65);
  });

  test('a status line and fields', () => {
    const head = (length: number) => `HTTP/1.1 200 ${'a'.repeat(length - 36)}\r\nContent-Length: 0\r\n\r\n`;
    expect(head(64)).toHaveLength(64);
    expect(readResponses(['GET'], [latin1(head(64))], true, limits).error).toBeNull();
    expect(readResponses(['GET'], [latin1(head(65))], true, limits).error?.code).toBe('HEAD_TOO_LARGE');
  });

  test('a body is not part of the head', () => {
    const text = `POST / HTTP/1.1\r\nContent-Length: 500\r\n\r\n${'a'.repeat(500)}`;
    expect(readRequests([latin1(text)], true, limits)).toMatchObject({
      error: null,
      messages: [{ body: 'a'.repeat(500) }],
    });
  });

  test('the extensions of one chunk', () => {
    const text = (length: number) => `${CHUNKED}1;${'a'.repeat(length - 1)}\r\nx\r\n0\r\n\r\n`;
    expect(readRequests([latin1(text(LINE_EXTENSION_BYTES))], true).error).toBeNull();
    const { error, refusedAt } = readRequests(bytewise(text(LINE_EXTENSION_BYTES + 100)), true);
    expect(error).toMatchObject({ code: 'MALFORMED', message: expect.stringMatching(/chunk extensions/) });
    expect(refusedAt).toBe(CHUNKED.length + 1 + LINE_EXTENSION_BYTES + 1);
  });

  test('the extensions of one message, and of that only', () => {
    const chunk = `1;${'a'.repeat(511)}\r\nx\r\n`;
    const count = MESSAGE_EXTENSION_BYTES / 512;
    const text = (chunks: number) => `${CHUNKED}${chunk.repeat(chunks)}0\r\n\r\n`;
    expect(readRequests([latin1(text(count) + text(count))], true)).toMatchObject({ error: null, idle: true });
    const { error, refusedAt } = readRequests(bytewise(text(count + 1)), true);
    expect(error?.message).toMatch(/chunk extensions/);
    expect(refusedAt).toBe(CHUNKED.length + chunk.length * count + 2);
  });
});

function bytewise(text: string): Buffer[] {
  const bytes = latin1(text);
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

describe('work grows with the bytes, not faster', () => {
  /** Counts the bytes that a reader looks at, one by one or by decoding, in the buffers that it is fed. */
  function counted(work: { bytes: number }, buffer: Buffer): Buffer {
    return new Proxy(buffer, {
      get(target, property) {
        if (property === 'toString') {
          return (encoding: BufferEncoding, from = 0, to = target.length) => {
            work.bytes += to - from;
            return target.toString(encoding, from, to);
          };
        }
        if (property === 'subarray') return (from: number, to: number) => counted(work, target.subarray(from, to));
        if (typeof property === 'string' && /^\d/.test(property)) work.bytes++;
        return Reflect.get(target, property, target) as unknown;
      },
    });
  }

  const POST = 'POST / HTTP/1.1\r\n';
  const MESSAGES: [name: string, text: (size: number) => string][] = [
    ['one long value', (size) => `${POST}a: ${'b'.repeat(size)}\r\n\r\n`],
    ['a value of spaces', (size) => `${POST}a: ${' '.repeat(size)}\r\n\r\n`],
    ['a value of spaces with one byte after them', (size) => `${POST}a: ${' '.repeat(size)}b\r\n\r\n`],
    ['a long name', (size) => `${POST}${'a'.repeat(size)}: b\r\n\r\n`],
    ['a long target', (size) => `GET ${'a'.repeat(size)} HTTP/1.1\r\n\r\n`],
    ['empty fields', (size) => `${POST}${'a:\r\n'.repeat(size / 4)}\r\n`],
    ['options', (size) => `${POST}${'Connection: ,,,, , , ,\r\n'.repeat(size / 24)}\r\n`],
    ['a long list of options', (size) => `${POST}Connection: ${', \t'.repeat(size / 3)}x\r\n\r\n`],
    ['a long run of spaces in options', (size) => `${POST}Connection: a${' '.repeat(size)}b\r\n\r\n`],
    ['zeros in a length', (size) => `${POST}Content-Length: ${'0'.repeat(size)}\r\n\r\n`],
    ['chunks of one byte', (size) => `${CHUNKED}${'1\r\na\r\n'.repeat(size / 6)}0\r\n\r\n`],
    ['trailers', (size) => `${CHUNKED}0\r\n${'a:\r\n'.repeat(size / 4)}\r\n`],
    ['many requests', (size) => 'GET / HTTP/1.1\r\n\r\n'.repeat(size / 18)],
  ];

  test.each(MESSAGES)('%s', { timeout: 5000 }, (_name, text) => {
    const limits = { headBytes: 80 * 1024 };
    for (const size of [4 * 1024, 64 * 1024]) {
      const bytes = latin1(text(size));
      for (const length of [1, 100, bytes.length]) {
        const work = { bytes: 0 };
        const pieces = function* () {
          for (let at = 0; at < bytes.length; at += length) yield counted(work, bytes.subarray(at, at + length));
        };
        expect(readRequests(pieces(), true, limits)).toMatchObject({ error: null, idle: true });
        // Once to look, once to decode, and once more for a byte that ends a run.
        expect(work.bytes).toBeLessThan(3 * bytes.length);
        expect(work.bytes).toBeGreaterThan(bytes.length / 2);
      }
    }
  });

  test('buffers that were fed long before they are read', { timeout: 5000 }, () => {
    const reader = new RequestReader(LIMITS);
    const count = 200_000;
    for (const byte of latin1(`POST / HTTP/1.1\r\nContent-Length: ${count}\r\n\r\n`)) reader.feed(Buffer.of(byte));
    for (let at = 0; at < count; at++) reader.feed(Buffer.of(at & 0xff));
    const { messages, idle } = drain(reader, [Buffer.alloc(0)], true);
    expect(messages[0]?.body).toHaveLength(count);
    expect(idle).toBe(true);
  });
});
