/** Messages to test HTTP/1.1 parsers with: known forms of smuggling, and seeded random messages and damage to them. */

/** A random number from 0 up to `below`; the same sequence for the same seed (mulberry32). */
export type Random = (below: number) => number;

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * below);
  };
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T;
}

const NAMES = [
  'Host',
  'Accept',
  'X-A',
  'x-a',
  'Cookie',
  'constructor',
  '__proto__',
  '!#$%&*+-.^_`|~',
  'Content-Type',
  'Expect',
];
const VALUES = [
  '',
  'a',
  'a.example',
  'a b',
  'a\tb',
  'caf\xe9',
  '\xff',
  '"a,b"; c=d',
  '*/*',
  ':',
  'a:b',
  'x'.repeat(90),
];
const SPACES = ['', ' ', ' ', ' ', '\t', '  '];
const SPACES_AFTER = ['', '', '', '', '', '', '', ' ', ' ', '\t'];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'];
export const TARGETS: readonly string[] = [
  '/',
  '/a',
  '/a?b=c&d',
  '*',
  'http://a.example/',
  '/a//b/../c',
  '/%00',
  '/a;b',
  '/a|b',
];
const INTERIM = [100, 102, 103, 103, 199];
const REASONS = ['OK', '', 'Not Found', 'caf\xe9', 'a\tb', ' '];
const EXTENSIONS = ['', '', '', ';a', ';a=b', ';a="b c"', ';a=b;c=d'];
const CONNECTIONS = ['keep-alive', 'Keep-Alive', 'TE', 'x-a, keep-alive', ''];

/** A valid request, most of them with the fields that say how long the body is. */
export function randomRequest(random: Random): string {
  const method = pick(random, METHODS);
  return `${method} ${pick(random, TARGETS)} HTTP/1.1\r\n${fieldsAndBody(random, random(3) === 0 || method === 'HEAD')}`;
}

/** A valid response to any method but HEAD and CONNECT, some after a 1xx; one of three is delimited by the end of the connection. */
export function randomResponse(random: Random): string {
  if (random(6) === 0) return `HTTP/1.1 ${pick(random, INTERIM)} x\r\nLink: </a>\r\n\r\n${randomResponse(random)}`;
  const status = pick(random, [200, 200, 206, 302, 404, 499, 500, 204, 304]);
  const none = status === 204 || status === 304;
  return `HTTP/1.1 ${status} ${pick(random, REASONS)}\r\n${fieldsAndBody(random, none || random(3) === 0)}`;
}

function fieldsAndBody(random: Random, bodiless: boolean): string {
  const lines = Array.from({ length: random(4) }, () => line(random, pick(random, NAMES), pick(random, VALUES)));
  if (random(4) === 0) lines.push(line(random, 'Connection', pick(random, CONNECTIONS)));
  let body = '';
  if (!bodiless) {
    const chunked = random(2) === 0;
    body = 'x\r\n0'.repeat(random(4)).slice(random(2));
    lines.push(
      chunked ? line(random, 'Transfer-Encoding', 'chunked') : line(random, 'Content-Length', `${body.length}`),
    );
    if (chunked) body = randomChunks(random, body);
  }
  // In any order: the framing must not depend on it.
  for (let i = lines.length - 1; i > 0; i--) lines.push(...lines.splice(random(i + 1), 1));
  return `${lines.join('')}\r\n${body}`;
}

function line(random: Random, name: string, value: string): string {
  const written = pick(random, [name, name, name.toLowerCase(), name.toUpperCase()]);
  return `${written}:${pick(random, SPACES)}${value}${pick(random, SPACES_AFTER)}\r\n`;
}

function randomChunks(random: Random, body: string): string {
  let text = '';
  for (let at = 0; at < body.length; ) {
    const data = body.slice(at, at + 1 + random(5));
    at += data.length;
    text += `${pick(random, ['', '0', '000'])}${data.length.toString(16)}${pick(random, EXTENSIONS)}\r\n${data}\r\n`;
  }
  const trailers = random(3) === 0 ? line(random, 'X-Sum', pick(random, VALUES)) : '';
  return `${text}${pick(random, ['0', '00'])}${pick(random, EXTENSIONS)}\r\n${trailers}\r\n`;
}

const BYTES = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '1',
  'f',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  '"',
  '\\',
  'x',
  '-',
  '+',
];
const LINES = [
  'Content-Length: 1',
  'Content-Length: 0',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Connection: close',
  'Connection: upgrade\r\nUpgrade: x',
  ' folded',
  ': empty',
];

/** The message with one to three changes: bytes replaced, inserted, removed, doubled, or a line put in. */
export function mutate(random: Random, message: string): string {
  let text = message;
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(text.length + 1);
    const to = at + random(4);
    const changed: string[] = [
      text.slice(0, at) + pick(random, BYTES) + text.slice(at + 1),
      text.slice(0, at) + pick(random, BYTES) + text.slice(at),
      text.slice(0, at) + text.slice(to),
      text.slice(0, to) + text.slice(at),
      text.replace('\r\n', `\r\n${pick(random, LINES)}\r\n`),
    ];
    text = pick(random, changed);
  }
  return text;
}

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** Field lines that two parsers are known to read differently; all of them are to be refused, in requests and responses. */
const SMUGGLING_FIELDS: readonly string[] = [
  // CL.TE and TE.CL
  'Content-Length: 6\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 6',
  'transfer-encoding: CHUNKED\r\ncontent-length: 0',
  // TE.TE
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-encoding: x',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding:\x0cchunked',
  'Transfer-Encoding: chunked\x0b',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding: \xa0chunked',
  'Transfer-Encoding: chun\xffked',
  'Transfer-Encoding: chun ked',
  'Transfer-Encoding:',
  'Transfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding\x0b: chunked',
  ' Transfer-Encoding: chunked',
  '\tTransfer-Encoding: chunked',
  'X: y\n Transfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'X: y\r\n\tTransfer-Encoding: chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding\r\n: chunked',
  'Transfer-Encoding: chunked\r\n , identity',
  'Transfer-Encoding\0: chunked',
  '\0Transfer-Encoding: chunked',
  'Transfer\0-Encoding: chunked',
  '"Transfer-Encoding": chunked',
  'Transfer-Encoding=chunked',
  'Foo\r\nTransfer-Encoding: chunked',
  // Content-Length
  'Content-Length: 5\r\nContent-Length: 5',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 0\r\ncontent-length: 5',
  'Content-Length: 5, 5',
  'Content-Length: 5,6',
  'Content-Length: 5,',
  'Content-Length: +5',
  'Content-Length: -5',
  'Content-Length: -0',
  'Content-Length: 0x5',
  'Content-Length: 5.0',
  'Content-Length: 5e0',
  'Content-Length: 5 5',
  'Content-Length: 5\t6',
  'Content-Length: 5\x0b',
  'Content-Length: \x0c5',
  'Content-Length: \xa05',
  'Content-Length: 5\xb2',
  'Content-Length: 5;',
  'Content-Length: "5"',
  'Content-Length: 1_0',
  'Content-Length: Infinity',
  'Content-Length: NaN',
  'Content-Length:',
  'Content-Length: ',
  'Content-Length : 5',
  'Content-Length\t: 5',
  'Content-Length: 5\0',
  'Content-Length: 5\r\n 6',
  'Content-Length: 5\n6',
  'Content-Length: 5\r6',
  'Content-Length\0: 5',
  'Content-Length: 9007199254740992',
  'Content-Length: 9007199254740993',
  'Content-Length: 18446744073709551621',
  'Content-Length: 99999999999999999999999999',
  // Field lines
  ': x',
  'x',
  'a b: c',
  'a\x7f: c',
  'a\xe9: c',
  'a(b): c',
  'a/b: c',
  'a: b\0c',
  'a: b\x01c',
  'a: b\x7fc',
  'a: b\x1bc',
  'a: b\rc',
  'a: b\n',
  'a: b\r\r',
  'a: b\r',
  'a\n: b',
  'a\r: b',
];

/** Chunked bodies that two parsers are known to read differently; all of them are to be refused. */
const SMUGGLING_CHUNKS: readonly string[] = [
  '10000000000000005\r\nhello\r\n0\r\n\r\n',
  '100000000000000005\r\nhello\r\n0\r\n\r\n',
  'ffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  '20000000000000\r\nhello\r\n0\r\n\r\n',
  '00000000000005\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '0X5\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  ' 5\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\t\r\nhello\r\n0\r\n\r\n',
  '5_0\r\nhello\r\n0\r\n\r\n',
  '5h\r\nhello\r\n0\r\n\r\n',
  '5,\r\nhello\r\n0\r\n\r\n',
  '5\0\r\nhello\r\n0\r\n\r\n',
  '\r\nhello\r\n0\r\n\r\n',
  ';a\r\nhello\r\n0\r\n\r\n',
  '5\nhello\r\n0\r\n\r\n',
  '5\rhello\r\n0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '5\r\nhello\r0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhello!!\r\n0\r\n\r\n',
  '5\r\nhellox\r\n0\r\n\r\n',
  '4\r\nhello\r\n0\r\n\r\n',
  '6\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n\r\n0\r\n\r\n',
  '5 ;a\r\nhello\r\n0\r\n\r\n',
  '5\t;a\r\nhello\r\n0\r\n\r\n',
  '5;a\nb\r\nhello\r\n0\r\n\r\n',
  '5;a\rb\r\nhello\r\n0\r\n\r\n',
  '5;a\n\r\nhello\r\n0\r\n\r\n',
  '5;\nhello\r\n0\r\n\r\n',
  '5;a\0b\r\nhello\r\n0\r\n\r\n',
  '5;a\tb\r\nhello\r\n0\r\n\r\n',
  '5;a="\n"\r\nhello\r\n0\r\n\r\n',
  '5;a="\r\nhello\r\n0\r\n\r\n',
  '5;a="\r\n"\r\nhello\r\n0\r\n\r\n',
  '5;a="b\\"\r\nhello\r\n0\r\n\r\n',
  '5;a="b"c\r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '5;;a\r\nhello\r\n0\r\n\r\n',
  '5;a=\r\nhello\r\n0\r\n\r\n',
  '5;=a\r\nhello\r\n0\r\n\r\n',
  '5; a\r\nhello\r\n0\r\n\r\n',
  '5;a =b\r\nhello\r\n0\r\n\r\n',
  '5;a(\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\n\r\n',
  '5\r\nhello\r\n0\r\n\n',
  '5\r\nhello\r\n0\r\n\rx',
  '5\r\nhello\r\n0\r\r\n\r\n',
  '5\r\nhello\r\n0 \r\n\r\n',
  '5\r\nhello\r\n0\r\nx\r\n\r\n',
  '5\r\nhello\r\n0\r\nx : y\r\n\r\n',
  '5\r\nhello\r\n0\r\n x: y\r\n\r\n',
  '5\r\nhello\r\n0\r\nx: y\n\r\n',
  '5\r\nhello\r\n0\r\nx: \0\r\n\r\n',
  `0\r\n${SMUGGLED}`,
];

export function smugglingRequests(): string[] {
  const fields = SMUGGLING_FIELDS.map((lines) => `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n0\r\n\r\n${SMUGGLED}`);
  const chunks = SMUGGLING_CHUNKS.map(
    (body) => `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`,
  );
  return [...fields, ...chunks, `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`];
}

export function smugglingResponses(): string[] {
  const fields = SMUGGLING_FIELDS.map((lines) => `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`);
  const chunks = SMUGGLING_CHUNKS.map((body) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
  return [...fields, ...chunks, 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'];
}
