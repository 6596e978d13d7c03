import { describe, expect, test } from 'vitest';
import type { ResponseHead } from '../../../src/http1/reader.ts';
import { everySplit, readResponses } from './feed.ts';
import { smugglingResponses } from './messages.ts';

type Expected = Partial<ResponseHead> & { body?: string; trailers?: string[] | null };

const NONE = { kind: 'none' } as const;
const CLOSE = { kind: 'close' } as const;
const CHUNKED = { kind: 'chunked' } as const;

/** What is read as the responses to requests with these methods; the connection ends after them. */
function accept(methods: string[], text: string, rest = ''): Expected[] {
  const outcome = everySplit(text, (pieces) => readResponses(methods, pieces, true));
  expect(outcome).toMatchObject({ error: null, rest });
  return outcome.messages.map(({ head, body, trailers }) => ({ ...head, body, trailers }));
}

describe('accepted', () => {
  const ACCEPTED: [rule: string, methods: string[], text: string, ...Expected[]][] = [
    [
      'a length',
      ['GET'],
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A:\tb \r\n\r\nhi',
      {
        status: 200,
        reason: 'OK',
        version: '1.1',
        fields: ['Content-Length', '2', 'X-A', 'b'],
        framing: { kind: 'length', length: 2 },
        keepAlive: true,
        body: 'hi',
        trailers: [],
      },
    ],
    [
      'chunks',
      ['GET'],
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x\r\nhi\r\n0\r\nA: b\r\n\r\n',
      { framing: CHUNKED, body: 'hi', trailers: ['A', 'b'] },
    ],
    [
      'the end of the connection',
      ['GET'],
      'HTTP/1.1 200 OK\r\n\r\nall\r\n\r\nof it',
      { framing: CLOSE, keepAlive: false, body: 'all\r\n\r\nof it', trailers: [] },
    ],
    [
      'the end of the connection at once',
      ['GET'],
      'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n',
      { framing: CLOSE, keepAlive: false, body: '', trailers: [] },
    ],
    ['no reason phrase', ['GET'], 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', { reason: '' }],
    [
      'no space before no reason phrase',
      ['GET'],
      'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
      { status: 200, reason: '', fields: ['Content-Length', '0'] },
    ],
    [
      'a reason phrase of any bytes',
      ['GET'],
      'HTTP/1.1 200  \t"caf\xe9\x80" \r\nContent-Length: 0\r\n\r\n',
      { reason: ' \t"caf\xe9\x80" ' },
    ],
    ['the lowest final status', ['GET'], 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', { status: 200 }],
    ['the highest status', ['GET'], 'HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n', { status: 999 }],
    ['HTTP/1.0', ['GET'], 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', { version: '1.0', keepAlive: false }],
    [
      'HTTP/1.0 with keep-alive',
      ['GET'],
      'HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n',
      { version: '1.0', keepAlive: true },
    ],
    [
      'close',
      ['GET'],
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: Close\r\n\r\na',
      { keepAlive: false, body: 'a' },
    ],
    [
      'HEAD with a length',
      ['HEAD', 'GET'],
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
      { framing: NONE, keepAlive: true, body: '', trailers: [] },
      { body: 'x' },
    ],
    [
      'HEAD with chunks',
      ['HEAD'],
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      { framing: NONE, keepAlive: true, body: '' },
    ],
    ['HEAD without either', ['HEAD'], 'HTTP/1.1 200 OK\r\n\r\n', { framing: NONE, keepAlive: true }],
    ['the method of a request is case-sensitive', ['head'], 'HTTP/1.1 200 OK\r\n\r\nx', { framing: CLOSE, body: 'x' }],
    [
      '204 with a length',
      ['GET', 'GET'],
      'HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 \r\n\r\n',
      { status: 204, framing: NONE, keepAlive: false, body: '' },
      { status: 204, keepAlive: true },
    ],
    ['204 with a length of 0', ['GET'], 'HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n', { keepAlive: true }],
    [
      '204 with chunks',
      ['GET'],
      'HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n',
      { framing: NONE, keepAlive: false },
    ],
    [
      '304 with a length',
      ['GET', 'GET'],
      'HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 \r\n\r\n',
      { status: 304, framing: NONE, keepAlive: false },
      { status: 304, keepAlive: true },
    ],
    ['205 with a body', ['GET'], 'HTTP/1.1 205 \r\nContent-Length: 1\r\n\r\nx', { body: 'x' }],
    [
      'any 1xx before the final response',
      ['POST', 'GET'],
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: </a>\r\nContent-Length: 9\r\n\r\nHTTP/1.1 199 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n',
      { status: 100, framing: NONE, trailers: null },
      { status: 103, framing: NONE, fields: ['Link', '</a>', 'Content-Length', '9'], trailers: null },
      { status: 199, framing: NONE, trailers: null },
      { status: 200, body: 'x', trailers: [] },
      { status: 404, trailers: [] },
    ],
    [
      'CONNECT refused',
      ['CONNECT', 'GET'],
      'HTTP/1.1 407 \r\nContent-Length: 1\r\n\r\nxHTTP/1.1 204 \r\n\r\n',
      { status: 407, framing: { kind: 'length', length: 1 }, body: 'x' },
      { status: 204 },
    ],
    [
      'CONNECT with a redirect',
      ['CONNECT'],
      'HTTP/1.1 300 \r\nContent-Length: 1\r\n\r\nx',
      { framing: { kind: 'length', length: 1 } },
    ],
  ];

  test.each(ACCEPTED)('%s', (_rule, methods, text, ...expected) => {
    const responses = accept(methods, text);
    expect(responses).toMatchObject(expected);
    expect(responses).toHaveLength(expected.length);
  });

  const SWITCHED: [rule: string, method: string, status: number, line: string][] = [
    ['CONNECT', 'CONNECT', 200, ''],
    ['CONNECT with a length', 'CONNECT', 200, 'Content-Length: 5\r\n'],
    ['CONNECT with chunks', 'CONNECT', 299, 'Transfer-Encoding: chunked\r\n'],
    ['CONNECT with 204', 'CONNECT', 204, ''],
    ['an upgrade', 'GET', 101, 'Connection: upgrade\r\nUpgrade: x\r\n'],
    ['an upgrade after HEAD', 'HEAD', 101, ''],
  ];

  test.each(SWITCHED)('after %s the rest is left alone', (_rule, method, status, line) => {
    const rest = 'HTTP/1.1 200 OK\r\n\r\n\0\n';
    const responses = accept([method, 'GET'], `HTTP/1.1 ${status} \r\n${line}\r\n${rest}`, rest);
    expect(responses).toMatchObject([{ status, framing: NONE, body: '', trailers: [] }]);
  });

  test('a response that nobody asked for is left alone', () => {
    const rest = 'HTTP/1.1 408 \r\nContent-Length: 0\r\n\r\n';
    expect(accept(['GET'], `HTTP/1.1 204 \r\n\r\n${rest}`, rest)).toHaveLength(1);
  });
});

describe('refused', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nServer: a\r\n';
  /** ‖ stands after the byte that is refused. */
  const REFUSED: [rule: string, text: string, message: RegExp][] = [
    ['an empty line before', '\r‖\nHTTP/1.1 200 OK\r\n\r\n', /^byte 0x0d in a status line/],
    ['a bare LF before', '\n‖HTTP/1.1 200 OK\r\n\r\n', /^a bare LF in a status line/],
    ['HTTP/0.9', '<‖html>', /^byte 0x3c in a status line/],
    ['another protocol', 'I‖CY 200 OK\r\n\r\n', /status line/],
    ['a version in lower case', 'h‖ttp/1.1 200 OK\r\n\r\n', /status line/],
    ['two spaces', 'HTTP/1.1  ‖200 OK\r\n\r\n', /status line/],
    ['a tab', 'HTTP/1.1\t‖200 OK\r\n\r\n', /status line/],
    ['no status', 'HTTP/1.1\r‖\n\r\n', /status line/],
    ['a status of two digits', 'HTTP/1.1 20 ‖OK\r\n\r\n', /status line/],
    ['a status of two digits alone', 'HTTP/1.1 20\r‖\n\r\n', /status line/],
    ['a status of four digits', 'HTTP/1.1 2000‖ OK\r\n\r\n', /status line/],
    ['a status below 100', 'HTTP/1.1 0‖99 OK\r\n\r\n', /status line/],
    ['a negative status', 'HTTP/1.1 -‖20 OK\r\n\r\n', /status line/],
    ['a status with a letter', 'HTTP/1.1 2o‖0 OK\r\n\r\n', /status line/],
    ['a reason phrase without a space', 'HTTP/1.1 200O‖K\r\n\r\n', /status line/],
    ['a tab for the space', 'HTTP/1.1 200\t‖OK\r\n\r\n', /status line/],
    ['NUL in a reason phrase', 'HTTP/1.1 200 O\0‖K\r\n\r\n', /byte 0x00 in a reason phrase/],
    ['ESC in a reason phrase', 'HTTP/1.1 200 \x1b‖\r\n\r\n', /byte 0x1b in a reason phrase/],
    ['a bare LF after the status', 'HTTP/1.1 200\n‖\r\n', /^a bare LF in a status line/],
    ['a bare CR after the status', 'HTTP/1.1 200\rA‖: b\r\n\r\n', /^a bare CR/],
    ['a bare LF after the reason phrase', 'HTTP/1.1 200 OK\n‖\r\n', /^a bare LF in a reason phrase/],
    ['a bare CR in the reason phrase', 'HTTP/1.1 200 O\rK‖\r\n\r\n', /^a bare CR/],
    ['a folded line', `${HEAD} ‖b\r\n\r\n`, /folded/],
    ['whitespace before the colon', `${HEAD}a ‖: b\r\n\r\n`, /whitespace before the colon/],
    ['NUL in a value', `${HEAD}a: \0‖\r\n\r\n`, /value of a field/],
    [
      'a length after a 1xx that is none',
      'HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 \r\nContent-Length: x\r\n\r\n‖',
      /Content-Length "x"/,
    ],
    ['a bad length in a 1xx', 'HTTP/1.1 103 \r\nContent-Length: x\r\n\r\n‖', /Content-Length "x"/],
    ['a bad length in a 204', 'HTTP/1.1 204 \r\nContent-Length: 0, 0\r\n\r\n‖', /Content-Length "0, 0"/],
    [
      'Transfer-Encoding with Content-Length in a 304',
      'HTTP/1.1 304 \r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n‖',
      /with Content-Length/,
    ],
    ['another coding', `${HEAD}Transfer-Encoding: gzip\r\n\r\n‖`, /coding "gzip"/],
    ['Transfer-Encoding in HTTP/1.0', 'HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\n\r\n‖', /in HTTP\/1.0/],
  ];

  test.each(REFUSED)('%s', (_rule, marked, message) => {
    const { error, refusedAt, idle } = everySplit(marked.replace('‖', ''), (pieces) => readResponses(['GET'], pieces));
    expect(error).toMatchObject({ code: 'MALFORMED', message: expect.stringMatching(message) });
    expect(refusedAt).toBe(marked.indexOf('‖'));
    expect(idle).toBe(false);
  });

  test.each([['2‖.0'], ['0‖.9'], ['1.2‖'], ['3‖']])('HTTP/%s', (version) => {
    const marked = `HTTP/${version} 200 OK\r\n\r\n`;
    const { error, refusedAt } = everySplit(marked.replace('‖', ''), (pieces) => readResponses(['GET'], pieces));
    expect(error?.code).toBe('UNSUPPORTED_VERSION');
    expect(refusedAt).toBe(marked.indexOf('‖'));
  });

  test.each(smugglingResponses().map((text) => [text]))('smuggling: %j', (text) => {
    for (const method of text.includes('\r\nTransfer-Encoding: chunked\r\n\r\n') ? ['GET'] : ['GET', 'HEAD']) {
      const { error, messages } = everySplit(text, (pieces) => readResponses([method, 'GET'], pieces));
      expect(error?.code).toBe('MALFORMED');
      expect(messages.filter(({ trailers }) => trailers !== null)).toEqual([]);
    }
  });
});
