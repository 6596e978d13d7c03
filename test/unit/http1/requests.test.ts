import { describe, expect, test } from 'vitest';
import type { RequestHead } from '../../../src/http1/reader.ts';
import { everySplit, type Message, readRequests } from './feed.ts';
import { smugglingRequests } from './messages.ts';

type Expected = Partial<RequestHead> & { body?: string; trailers?: string[] };

const NONE = { kind: 'none' } as const;

function flat({ head, body, trailers }: Message<RequestHead>): Expected {
  return { ...head, body, ...(trailers && { trailers }) };
}

/** What is read of `text`, which must be all of it. */
function accept(text: string): Expected[] {
  const { messages, error, idle, rest } = everySplit(text, (pieces) => readRequests(pieces, true));
  expect({ error, idle, rest }).toEqual({ error: null, idle: true, rest: '' });
  return messages.map(flat);
}

describe('accepted', () => {
  const ACCEPTED: [rule: string, text: string, ...Expected[]][] = [
    [
      'a request without a body',
      'GET /a?b HTTP/1.1\r\nHost: a.example\r\n\r\n',
      {
        method: 'GET',
        target: '/a?b',
        version: '1.1',
        fields: ['Host', 'a.example'],
        framing: NONE,
        keepAlive: true,
        body: '',
        trailers: [],
      },
    ],
    ['no fields', 'GET / HTTP/1.1\r\n\r\n', { fields: [] }],
    ['any token as a method', "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n\r\n", { method: "!#$%&'*+-.^_`|~09azAZ" }],
    ['a method in lower case', 'get / HTTP/1.1\r\n\r\n', { method: 'get' }],
    ['a target of any visible bytes', 'GET !"#\x7e\x80\xff HTTP/1.1\r\n\r\n', { target: '!"#\x7e\x80\xff' }],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\n\r\n', { method: 'CONNECT', target: 'a:443', framing: NONE }],
    [
      'empty lines before it',
      '\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n',
      { method: 'GET', target: '/', fields: ['A', 'b'] },
    ],
    ['empty lines only', '\r\n\r\n'],
    [
      'an empty line after a body',
      'POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\nGET /2 HTTP/1.1\r\n\r\n',
      { body: 'x' },
      { target: '/2' },
    ],
    [
      'order, case and duplicates of fields',
      'GET / HTTP/1.1\r\nb: 1\r\nA: 2\r\nB: 1\r\nb: 1\r\n__proto__: x\r\n\r\n',
      { fields: ['b', '1', 'A', '2', 'B', '1', 'b', '1', '__proto__', 'x'] },
    ],
    [
      'whitespace around values, not inside of them',
      'GET / HTTP/1.1\r\na:b\r\na:\t b \t\r\na: b  c\td \r\na:\r\na: \t \r\n\r\n',
      { fields: ['a', 'b', 'a', 'b', 'a', 'b  c\td', 'a', '', 'a', ''] },
    ],
    ['values of bytes from 0x80 on', 'GET / HTTP/1.1\r\na: \x80\xa0\xff\r\n\r\n', { fields: ['a', '\x80\xa0\xff'] }],
    ['a colon in a value', 'GET / HTTP/1.1\r\na::b:c\r\n\r\n', { fields: ['a', ':b:c'] }],
    [
      'a length',
      'POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\0\xffGET / HTTP/1.1\r\n\r\n',
      { framing: { kind: 'length', length: 4 }, body: '\r\n\0\xff' },
      { framing: NONE },
    ],
    ['a length of 0', 'POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n', { framing: NONE, body: '' }],
    ['a length with zeros before it', 'POST / HTTP/1.1\r\nContent-Length:\t0002 \r\n\r\nab', { body: 'ab' }],
    [
      'chunks',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00c\r\n\r\n0\r\n\r\nworld\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
      { framing: { kind: 'chunked' }, body: 'hello\r\n0\r\n\r\nworld', trailers: [] },
      { framing: NONE },
    ],
    [
      'chunked in any case',
      'POST / HTTP/1.1\r\nTRANSFER-ENCODING:cHuNkEd\t\r\n\r\n0\r\n\r\n',
      { framing: { kind: 'chunked' } },
    ],
    [
      'hex digits in any case',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n',
      { body: '01234567890123456789' },
    ],
    [
      '13 digits of a size',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0000000000001\r\na\r\n0000000000000\r\n\r\n',
      { body: 'a' },
    ],
    [
      'extensions',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n1;a=b;c="d; \\" e\xff";f\r\ny\r\n0;z=""\r\n\r\n',
      { body: 'xy' },
    ],
    [
      'trailers',
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: 1 \r\nb:\r\nA:2\r\n\r\nGET / HTTP/1.1\r\n\r\n',
      { trailers: ['A', '1', 'b', '', 'A', '2'] },
      { trailers: [] },
    ],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', { version: '1.0', keepAlive: false, framing: NONE }],
    [
      'HTTP/1.0 with keep-alive',
      'GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n',
      { version: '1.0', keepAlive: true },
    ],
    ['close', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', { keepAlive: false }],
    ['close in a list', 'GET / HTTP/1.1\r\nconnection: ,te ,\tCLOSE ,x\r\n\r\n', { keepAlive: false }],
    [
      'close in one of several fields',
      'GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n',
      { keepAlive: false },
    ],
    ['close with keep-alive', 'GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n', { keepAlive: false }],
    [
      'options that only look like close',
      'GET / HTTP/1.1\r\nConnection: closed, x-close, "close", clo se\r\n\r\n',
      { keepAlive: true },
    ],
    [
      'keep-alive that only looks like it',
      'GET / HTTP/1.0\r\nConnection: keep-alive=1\r\nX: keep-alive\r\n\r\n',
      { keepAlive: false },
    ],
    [
      'fields of the same length as those that frame',
      'GET / HTTP/1.1\r\nContent-Lengte: 5\r\nTransfer-Encodinx: chunked\r\nUser-Agent: close\r\n\r\n',
      { framing: NONE, keepAlive: true },
    ],
    [
      'three in a row',
      'GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n\r\n',
      { target: '/1' },
      { target: '/2', body: 'a' },
      { target: '/3' },
    ],
  ];

  test.each(ACCEPTED)('%s', (_rule, text, ...expected) => {
    const requests = accept(text);
    expect(requests).toMatchObject(expected);
    expect(requests).toHaveLength(expected.length);
  });

  test('the greatest length that is a safe integer', () => {
    const text = 'POST / HTTP/1.1\r\nContent-Length: 9007199254740991\r\n\r\n';
    const { messages } = everySplit(text, (pieces) => readRequests(pieces));
    expect(messages[0]?.head.framing).toEqual({ kind: 'length', length: Number.MAX_SAFE_INTEGER });
  });
});

describe('refused', () => {
  const POST = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n';
  const DONE = '\r\n\r\n';
  /** ‖ stands after the byte that is refused. */
  const REFUSED: [rule: string, text: string, message: RegExp][] = [
    ['whitespace before the method', ` ‖GET / HTTP/1.1${DONE}`, /^byte 0x20 in a method/],
    ['a bare LF before the method', `\n‖GET / HTTP/1.1${DONE}`, /^a bare LF in a method/],
    ['a bare CR before the method', `\rG‖ET / HTTP/1.1${DONE}`, /^a bare CR at an empty line/],
    ['a fifth empty line', `\r\n\r\n\r\n\r\n\r‖\nGET / HTTP/1.1${DONE}`, /^byte 0x0d in a method/],
    ['a delimiter in the method', `G(‖T / HTTP/1.1${DONE}`, /method/],
    ['a TLS handshake', '\x16‖\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', /^byte 0x16 in a method/],
    ['a tab after the method', `GET\t‖/ HTTP/1.1${DONE}`, /method/],
    ['two spaces after the method', `GET  ‖/ HTTP/1.1${DONE}`, /target/],
    ['two spaces after the target', `GET /  ‖HTTP/1.1${DONE}`, /version/],
    ['a tab in the target', `GET /\t‖ HTTP/1.1${DONE}`, /target/],
    ['a control byte in the target', `GET /\x7f‖ HTTP/1.1${DONE}`, /byte 0x7f in a request target/],
    ['NUL in the target', `GET /\0‖ HTTP/1.1${DONE}`, /byte 0x00 in a request target/],
    ['a space in the target', `GET /a b‖ HTTP/1.1${DONE}`, /version/],
    ['HTTP/0.9', 'GET /\r‖\n', /target/],
    ['a method alone', `GET\r‖\n`, /method/],
    ['a version in lower case', `GET / h‖ttp/1.1${DONE}`, /version/],
    ['another protocol', `GET / HTTPS‖/1.1${DONE}`, /version/],
    ['a version of two digits', `GET / HTTP/1.11‖${DONE}`, /request line/],
    ['a version without a dot', `GET / HTTP/11‖${DONE}`, /version/],
    ['whitespace after the version', `GET / HTTP/1.1 ‖${DONE}`, /request line/],
    ['a bare LF after the request line', 'GET / HTTP/1.1\n‖Host: a\r\n\r\n', /^a bare LF in a request line/],
    ['a bare CR after the request line', 'GET / HTTP/1.1\rH‖ost: a\r\n\r\n', /^a bare CR at the end of a line/],
    ['whitespace before the first field', `GET / HTTP/1.1\r\n ‖Host: a${DONE}`, /folded/],
    ['a folded line', `${HEAD}\t‖b${DONE}`, /folded/],
    ['a folded line of whitespace', `${HEAD} ‖\r\n\r\n`, /folded/],
    ['whitespace before the colon', `${HEAD}a ‖: b${DONE}`, /whitespace before the colon/],
    ['an empty name', `${HEAD}:‖ b${DONE}`, /name of a field/],
    ['a line without a colon', `${HEAD}a\r‖\n\r\n`, /name of a field/],
    ['a delimiter in a name', `${HEAD}a@‖: b${DONE}`, /name of a field/],
    ['NUL in a name', `${HEAD}a\0‖: b${DONE}`, /name of a field/],
    ['a byte from 0x80 on in a name', `${HEAD}a\xe9‖: b${DONE}`, /byte 0xe9 in the name of a field/],
    ['NUL in a value', `${HEAD}a: b\0‖${DONE}`, /byte 0x00 in the value of a field/],
    ['ESC in a value', `${HEAD}a: \x1b‖[0m${DONE}`, /byte 0x1b in the value of a field/],
    ['DEL in a value', `${HEAD}a: b\x7f‖${DONE}`, /value/],
    ['a bare LF in a value', `${HEAD}a: b\n‖c: d${DONE}`, /^a bare LF in the value of a field/],
    ['a bare CR in a value', `${HEAD}a: b\rc‖: d${DONE}`, /^a bare CR at the end of a line/],
    ['a bare LF for the empty line', `${HEAD}\n‖`, /^a bare LF in the name of a field/],
    ['a bare CR for the empty line', `${HEAD}\rx‖`, /^a bare CR at the end of the fields/],
    ['Content-Length twice', `${HEAD}Content-Length: 1\r\ncontent-length: 1\r\n\r\n‖x`, /more than one Content-Length/],
    ['a list of lengths', `${HEAD}Content-Length: 1, 1\r\n\r\n‖x`, /Content-Length "1, 1"/],
    ['a length with a sign', `${HEAD}Content-Length: +1\r\n\r\n‖x`, /Content-Length "\+1"/],
    ['an unsafe length', `${HEAD}Content-Length: 9007199254740992\r\n\r\n‖x`, /Content-Length "9007199254740992"/],
    ['a length with bytes that are no digits', `${HEAD}Content-Length: \xb9\r\n\r\n‖x`, /Content-Length "\\xb9"/],
    [
      'Transfer-Encoding with Content-Length',
      `${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n‖x`,
      /with Content-Length/,
    ],
    [
      'Transfer-Encoding twice',
      `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n‖x`,
      /more than one Transfer/,
    ],
    ['another coding', `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n‖x`, /coding "gzip, chunked"/],
    ['Transfer-Encoding in HTTP/1.0', 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n‖0\r\n\r\n', /in HTTP\/1.0/],
    ['no chunk size', `${POST}\r‖\n`, /chunk size/],
    ['14 digits of a chunk size', `${POST}00000000000001‖\r\n`, /chunk size/],
    ['whitespace after a chunk size', `${POST}1 ‖\r\n`, /byte 0x20 in a chunk size/],
    ['a bare LF after a chunk size', `${POST}1\n‖a`, /^a bare LF in a chunk size/],
    ['a bare CR after a chunk size', `${POST}1\ra‖`, /^a bare CR/],
    ['no CR after the data of a chunk', `${POST}1\r\nab‖`, /^byte 0x62 after the data of a chunk/],
    ['a bare LF after the data of a chunk', `${POST}1\r\na\n‖`, /^a bare LF after the data of a chunk/],
    ['a bare CR after the data of a chunk', `${POST}1\r\na\rx‖`, /^a bare CR/],
    ['a control byte in an extension', `${POST}1;a\x01‖\r\n`, /byte 0x01 in a chunk extension/],
    ['a tab in an extension', `${POST}1;a\t‖\r\n`, /byte 0x09 in a chunk extension/],
    ['a bare LF in an extension', `${POST}1;a\n‖\r\n`, /^a bare LF in a chunk extension/],
    ['a quoted extension without its end', `${POST}1;a="\r‖\n`, /chunk extension/],
    ['a folded trailer', `${POST}0\r\na: b\r\n ‖c\r\n\r\n`, /folded/],
    ['a bare LF in the trailers', `${POST}0\r\na: b\n‖\r\n\r\n`, /^a bare LF in the value/],
    ['a message after a bad one', `${HEAD}\r\n${HEAD}a ‖: b${DONE}`, /whitespace before the colon/],
  ];

  test.each(REFUSED)('%s', (_rule, marked, message) => {
    const { error, refusedAt, idle, rest } = everySplit(marked.replace('‖', ''), (pieces) => readRequests(pieces));
    expect(error).toMatchObject({ code: 'MALFORMED', message: expect.stringMatching(message) });
    expect(refusedAt).toBe(marked.indexOf('‖'));
    expect({ idle, rest }).toEqual({ idle: false, rest: '' });
  });

  const VERSIONS: [string][] = [['2‖.0'], ['0‖.9'], ['1.2‖'], ['1.9‖'], ['3‖.1']];
  test.each(VERSIONS)('HTTP/%s', (version) => {
    const marked = `GET / HTTP/${version}\r\n\r\n`;
    const { error, refusedAt } = everySplit(marked.replace('‖', ''), (pieces) => readRequests(pieces));
    expect(error?.code).toBe('UNSUPPORTED_VERSION');
    expect(refusedAt).toBe(marked.indexOf('‖'));
  });

  test.each(smugglingRequests().map((text) => [text]))('smuggling: %j', (text) => {
    const { error, messages } = everySplit(text, (pieces) => readRequests(pieces));
    expect(error?.code).toBe('MALFORMED');
    // The message itself is refused, before the end of its body.
    expect(messages.filter(({ trailers }) => trailers !== null)).toEqual([]);
  });
});

describe('an error', () => {
  test('shows little of what the peer sent, and that escaped', () => {
    const { error } = readRequests([
      Buffer.from(`GET / HTTP/1.1\r\nContent-Length: ${'\xff"\x80'.repeat(500)}\r\n\r\n`, 'latin1'),
    ]);
    expect(error?.message).toMatch(/^[\x20-\x7e§]{1,150}$/);
  });

  test('shows a text of 80 characters whole, and cuts it there', () => {
    const shown = (length: number) =>
      readRequests([Buffer.from(`GET / HTTP/1.1\r\nContent-Length: ${'x'.repeat(length)}\r\n\r\n`)]).error?.message;
    expect(shown(80)).toContain(`"${'x'.repeat(80)}"`);
    expect(shown(81)).toContain(`"${'x'.repeat(80)}"`);
  });
});
