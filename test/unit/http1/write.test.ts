import { describe, expect, test } from 'vitest';
import {
  chunkHead,
  isFieldValue,
  isReason,
  isRequestTarget,
  isToken,
  lastChunk,
  requestHead,
  responseHead,
} from '../../../src/http1/write.ts';
import { latin1, readRequests, readResponses } from './feed.ts';
import { pick, seeded } from './messages.ts';

test('heads and chunks, byte for byte', () => {
  expect(requestHead('GET', '/', [])).toBe('GET / HTTP/1.1\r\n\r\n');
  expect(requestHead('QUERY', '*', ['b', '1', 'A', '', 'b', ' \xff '])).toBe(
    'QUERY * HTTP/1.1\r\nb: 1\r\nA: \r\nb:  \xff \r\n\r\n',
  );
  expect(responseHead(200, 'OK', ['A', 'b'])).toBe('HTTP/1.1 200 OK\r\nA: b\r\n\r\n');
  expect(responseHead(999, '', [])).toBe('HTTP/1.1 999 \r\n\r\n');
  expect(chunkHead(31)).toBe('1f\r\n');
  expect(lastChunk([])).toBe('0\r\n\r\n');
  expect(lastChunk(['A', 'b'])).toBe('0\r\nA: b\r\n\r\n');
});

describe('every char from 0 to 0x1ff, alone and within a text', () => {
  const chars = Array.from({ length: 0x200 }, (_, code) => String.fromCharCode(code));
  const tchar = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/;
  const RULES: [
    name: string,
    is: (text: string) => boolean,
    allowed: (char: string, code: number) => boolean,
    empty: boolean,
  ][] = [
    ['token', isToken, (char) => tchar.test(char), false],
    ['value', isFieldValue, (_, code) => code === 9 || (code >= 0x20 && code !== 0x7f && code <= 0xff), true],
    ['target', isRequestTarget, (_, code) => code > 0x20 && code !== 0x7f && code <= 0xff, false],
    ['reason', isReason, (_, code) => code === 9 || (code >= 0x20 && code !== 0x7f && code <= 0xff), true],
  ];

  test.each(RULES)('%s', (_name, is, allowed, empty) => {
    for (const [code, char] of chars.entries()) {
      const expected = allowed(char, code);
      for (const text of [char, `a${char}`, `${char}a`, `a${char}a`, `${'a'.repeat(500)}${char}`]) {
        expect(is(text), JSON.stringify(text.slice(-4))).toBe(expected);
      }
    }
    expect(is('')).toBe(empty);
    // Written as latin1, this is LF.
    expect(is('a\u{010a}')).toBe(false);
    expect(is('a\u{1f60a}')).toBe(false);
  });
});

describe('never written', () => {
  const BAD = ['\r', '\n', '\0', '\r\nX: y', '\u010a', '\u010d\u010aX: y', '\u{1f60a}', '\x7f', '\x1b'];
  test.each(BAD.map((bad) => [bad]))('%j', (bad) => {
    for (const text of [bad, `a${bad}`, `${bad}a`, `a${bad}a`]) {
      const WRITERS = [
        () => requestHead(text, '/', []),
        () => requestHead('GET', text, []),
        () => requestHead('GET', '/', [text, 'v']),
        () => requestHead('GET', '/', ['a', 'b', 'n', text]),
        () => responseHead(200, text, []),
        () => responseHead(200, 'OK', [text, 'v']),
        () => responseHead(200, 'OK', ['n', text]),
        () => lastChunk([text, 'v']),
        () => lastChunk(['n', text]),
      ];
      for (const write of WRITERS) expect(write).toThrow(TypeError);
    }
  });

  const OTHERS: [name: string, write: () => string][] = [
    ['an empty method', () => requestHead('', '/', [])],
    ['a method with a space', () => requestHead('GET /', '/', [])],
    ['an empty target', () => requestHead('GET', '', [])],
    ['a target with a space', () => requestHead('GET', '/ HTTP/1.1', [])],
    ['an empty name', () => requestHead('GET', '/', ['', 'v'])],
    ['a name with a space', () => requestHead('GET', '/', ['a ', 'v'])],
    ['a name with a colon', () => requestHead('GET', '/', ['a:', 'v'])],
    ['a name without a value', () => requestHead('GET', '/', ['a'])],
    ['a status below 100', () => responseHead(99, '', [])],
    ['a status above 999', () => responseHead(1000, '', [])],
    ['a status that is no integer', () => responseHead(200.5, '', [])],
    ['a status that is no number', () => responseHead(Number.NaN, '', [])],
    ['a chunk of 0 bytes, which is the last', () => chunkHead(0)],
    ['a negative chunk', () => chunkHead(-1)],
    ['a chunk of half a byte', () => chunkHead(0.5)],
    ['an endless chunk', () => chunkHead(Infinity)],
  ];
  test.each(OTHERS)('%s', (_name, write) => {
    expect(write).toThrow(TypeError);
  });
});

test('what was written is read back, 300 random messages of each side', () => {
  const random = seeded(112);
  const text = (allowed: (text: string) => boolean, least: number) => {
    const chars: string[] = [];
    const length = least + random(20);
    while (chars.length < length) {
      const char = String.fromCharCode(random(256));
      if (allowed(char)) chars.push(char);
    }
    return chars.join('');
  };
  for (let run = 0; run < 300; run++) {
    const fields = () =>
      Array.from({ length: random(6) }, () => [
        `X-${text(isToken, 0)}`,
        text(isFieldValue, 0).replace(/^[\t ]+|[\t ]+$/g, ''),
      ]).flat();
    const pieces = Array.from({ length: random(4) }, () => text(() => true, 1));
    const trailers = fields();
    const body = pieces.map((piece) => `${chunkHead(piece.length)}${piece}\r\n`).join('') + lastChunk(trailers);

    const request = {
      method: text(isToken, 1),
      target: text(isRequestTarget, 1),
      fields: [...fields(), 'Transfer-Encoding', 'chunked'],
    };
    const written = requestHead(request.method, request.target, request.fields) + body;
    expect(readRequests([latin1(written + written)])).toMatchObject({
      messages: [
        { head: request, body: pieces.join(''), trailers },
        { head: request, body: pieces.join(''), trailers },
      ],
      error: null,
      idle: true,
    });

    const response = {
      status: pick(random, [200, 299, 404, 599, 999]),
      reason: text(isReason, 0),
      fields: [...fields(), 'Transfer-Encoding', 'chunked'],
    };
    expect(
      readResponses(['GET'], [latin1(responseHead(response.status, response.reason, response.fields) + body)]),
    ).toMatchObject({
      messages: [{ head: response, body: pieces.join(''), trailers }],
      error: null,
      idle: true,
    });
  }
});
