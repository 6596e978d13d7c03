/** HTTP/1.1 messages that are half right: whole ones changed, and pieces put together. */
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';

const buffers = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text, 'latin1'));

const BODY = ['Content-Length: 3\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'];
const COMMON = ['\r\n', '\r\n\r\n', '\n', '\r', ' ', '\t', ':', ',', ';', '\0', '\x80', '\x7f', 'HTTP/1.1', 'HTTP/1.0']
  .concat('HTTP/2.0', 'Content-Length: ', 'Content-Length: 3\r\n', 'Content-Length: 18446744073709551616\r\n')
  .concat('Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'Connection: close\r\n')
  .concat('Connection: keep-alive, x\r\n', 'Connection: Upgrade\r\nUpgrade: websocket\r\n', 'Trailer: x\r\n')
  .concat('TE: trailers\r\n', '0\r\nx: y\r\n\r\n', '0\r\n\r\n', '3\r\nabc\r\n', 'ffffffff\r\n', '1;a="b"\r\nz\r\n')
  .concat('__proto__: a\r\nconstructor: b\r\n', 'X: ' + 'x'.repeat(5_000) + '\r\n', ' folded\r\n', 'x'.repeat(300));

const REQUESTS = [
  'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'HEAD /a?b HTTP/1.1\r\nHost: localhost\r\n\r\n',
  `POST /a HTTP/1.1\r\nHost: localhost\r\n${BODY[0]}`,
  `PUT /a HTTP/1.1\r\nHost: localhost\r\nTrailer: x\r\n${BODY[1]}`,
  'POST /a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
  'GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00',
];
const REQUEST_TOKENS = ['Host: localhost\r\n', 'Host: a\r\nHost: b\r\n', 'GET ', 'CONNECT ', 'http://', 'https://']
  .concat('Expect: 100-continue\r\n', 'Via: 1.1 x\r\n', 'Mtlsd-Certificate: none\r\n', 'Mtlsd-Verification: report\r\n')
  .concat('Sec-Fetch-Site: cross-site\r\n', 'Proxy-Authorization: Basic eDp5\r\n', 'Origin: null\r\n', '/../%00');

/** The others are sent to the proxy's own port; PORT is replaced by an origin's. */
const TO_PROXY = [
  'GET http://localhost:PORT/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'GET https://localhost:TLS/ HTTP/1.1\r\nHost: localhost\r\n\r\n',
  `POST https://localhost:TLS/a HTTP/1.1\r\nHost: localhost\r\n${BODY[1]}`,
  'CONNECT localhost:PORT HTTP/1.1\r\nHost: localhost:PORT\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT localhost:TLS HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03\x01\x00\x05hello',
  'CONNECT [::1]:PORT HTTP/1.1\r\nHost: a\r\n\r\n',
  'CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n',
  'OPTIONS http://localhost:PORT HTTP/1.1\r\nHost: a\r\n\r\n',
];
const PROXY_TOKENS = [
  'CONNECT ',
  'localhost:PORT',
  '[::1]',
  ':0',
  ':65536',
  ':443',
  '127.0.0.1',
  '0x7f.1',
  'xn--a',
].concat('LOCALHOST.', 'a@', 'socks5://', 'ftp://', 'http:///', '%2f', '\xe9');

const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  `HTTP/1.1 200 OK\r\nTrailer: x\r\n${BODY[1]}`,
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\nTE: z\r\n\r\n',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: "a"\r\n\r\n',
  'HTTP/1.1 400 Bad Request\r\nContent-Length: 37\r\n\r\nNo required SSL certificate was sent..',
  'HTTP/1.1 999 x\r\nContent-Length: 0\r\nKeep-Alive: timeout=1\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\nold',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond',
];
const RESPONSE_TOKENS = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 102 x\r\n\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 099 x\r\n',
]
  .concat('HTTP/1.1 101 x\r\n', 'HTTP/1.1 600 \x01\r\n', 'Keep-Alive: timeout=99999999\r\n', 'Date: x\r\nDate: y\r\n')
  .concat('Set-Cookie: a\r\nSet-Cookie: b\r\n', 'Proxy-Status: x\r\n', 'Link: bad\r\n', 'Alt-Svc: clear\r\n');

const KINDS = {
  request: { seeds: REQUESTS, tokens: REQUEST_TOKENS },
  proxy: { seeds: [...TO_PROXY, ...REQUESTS.slice(0, 3)], tokens: [...REQUEST_TOKENS, ...PROXY_TOKENS] },
  response: { seeds: RESPONSES, tokens: RESPONSE_TOKENS },
};

/** @param replace texts of the seeds that are known at run time only, such as ports */
export function http1Maker(
  kind: keyof typeof KINDS,
  replace: Readonly<Record<string, string>> = {},
): (random: Random) => Buffer {
  const fill = (text: string): string =>
    Object.entries(replace).reduce((filled, [from, to]) => filled.replaceAll(from, to), text);
  const seeds = buffers(KINDS[kind].seeds.map(fill));
  const tokens = buffers([...KINDS[kind].tokens.map(fill), ...COMMON]);
  return (random) => {
    if (!random.oneIn(4)) return mutate(random, { seeds, tokens });
    const parts = Array.from({ length: random.below(12) }, () => random.pick(tokens));
    return Buffer.concat([random.pick(seeds).subarray(0, 16 + random.below(20)), ...parts]);
  };
}
