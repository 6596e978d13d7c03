/** Messages that ended the daemon, or could: each has one outcome, and all other requests continue. */
import { once } from 'node:events';
import { connect as connectH2, constants, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { type H2Origin, h2Origin } from '../support/h2-origin.ts';
import { FRAME, frame, headers } from '../support/h2-frames.ts';
import { createPki } from '../support/pki.ts';
import { type RawOrigin, rawH2Origin, rawOrigin } from '../support/raw-origins.ts';
import { throughTunnel } from '../support/tunnel.ts';

interface H2Answer {
  readonly status: number | null;
  /** Flat, without pseudo-fields. */
  readonly fields: string[];
  readonly trailers: string[];
  readonly informed: string[][];
  readonly body: string;
  readonly code: number;
}

const LENIENT = { strictSingleValueFields: false } as object;

describe('messages that no program expects', () => {
  let tls: { key: string; cert: string };
  let daemon: RunningDaemon;
  /** What the h1 origins answer, TLS and plain. */
  let say: (socket: Socket, head: string) => void = () => {};
  /** What the hand-made h2 origin answers. */
  let sayH2: (socket: Socket, stream: number) => void = () => {};
  let h1: RawOrigin;
  let plain: RawOrigin;
  let h2: RawOrigin;
  let echo: H2Origin;
  let quiet: RawOrigin;

  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    tls = { key: keyPem, cert: certPem };
    h1 = await rawOrigin(tls, (socket, head) => say(socket, head));
    plain = await rawOrigin(null, (socket, head) => say(socket, head));
    h2 = await rawH2Origin(tls, (socket, stream) => sayH2(socket, stream));
    echo = await h2Origin({ ...tls, ...LENIENT });
    // Streams that are reset by then; the origin's own trouble.
    quiet = await rawH2Origin(tls, (socket, stream, ended) => {
      if (ended) socket.write(headers(stream, [':status', '200'], true));
    });
    daemon = await startDaemon({
      store: 'version: 1\nverification: { mode: report }\n',
      settings: 'timeouts: { response: 5s }\n',
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), h1.close(), plain.close(), h2.close(), echo.close(), quiet.close()]);
  });
  afterEach(async () => {
    if (!(await daemon.api('/healthz')).ok) throw new Error('the daemon is not well');
    const fault = daemon.log.find(({ event }) => event === 'daemon.fault');
    if (fault) throw new Error(JSON.stringify(fault));
  });

  /** Everything that comes until the connection ends. */
  async function talk(socket: Socket, bytes: string): Promise<string> {
    let text = '';
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
    socket.write(bytes, 'latin1');
    await once(socket, 'close');
    return text;
  }
  const tunnelled = (port: number, bytes: string): Promise<string> =>
    throughTunnel(daemon, `localhost:${port}`, { ALPNProtocols: ['http/1.1'] }).then((socket) => talk(socket, bytes));
  const direct = (bytes: string): Promise<string> => talk(connect(daemon.proxyPort, '127.0.0.1'), bytes);

  async function openH2(port: number): Promise<ClientHttp2Session> {
    const socket = await throughTunnel(daemon, `localhost:${port}`, { ALPNProtocols: ['h2'] });
    const session = connectH2(`https://localhost:${port}`, {
      createConnection: () => socket,
      maxHeaderListPairs: 2000,
      maxSendHeaderBlockLength: 400_000,
      settings: { maxHeaderListSize: 400_000 },
      ...LENIENT,
    } as object);
    session.on('error', () => {});
    return session;
  }

  function onStream(
    session: ClientHttp2Session,
    flat: readonly string[],
    { body, trailers }: { body?: string; trailers?: Record<string, string | string[]> } = {},
  ): Promise<H2Answer> {
    const options = { endStream: body === undefined, waitForTrailers: trailers !== undefined };
    const stream = session.request([...flat] as never, options);
    const raw = (args: unknown[]): string[] =>
      (args.find((each) => Array.isArray(each)) as string[]).filter(
        (_, i, all) => !(all[i - (i % 2)] as string).startsWith(':'),
      );
    let status: number | null = null;
    let fields: string[] = [];
    let after: string[] = [];
    const informed: string[][] = [];
    let text = '';
    stream.on('headers', (...args: unknown[]) => informed.push(raw(args)));
    stream.on('response', (...args: unknown[]) => {
      status = (args[0] as { ':status': number })[':status'];
      fields = raw(args);
    });
    stream.on('trailers', (...args: unknown[]) => {
      after = raw(args);
    });
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    stream.on('error', () => {});
    if (trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    if (body !== undefined) stream.end(body);
    return new Promise((resolve) =>
      stream.on('close', () =>
        resolve({ status, fields, trailers: after, informed, body: text, code: stream.rstCode ?? 0 }),
      ),
    );
  }
  async function h2Ask(port: number, fields: readonly string[] = [], method = 'GET', body?: string): Promise<H2Answer> {
    const session = await openH2(port);
    try {
      return await onStream(session, pseudoOf(port, method, fields), body === undefined ? {} : { body });
    } finally {
      session.destroy();
    }
  }
  const pseudoOf = (port: number, method: string, fields: readonly string[] = [], path = '/'): string[] => [
    ...[':method', method, ':scheme', 'https', ':authority', `localhost:${port}`, ':path', path],
    ...fields,
  ];

  /** The same request of every client that reaches an origin of HTTP/1.1: its status and text. */
  async function everyH1Way(fields: string, method = 'GET', body = ''): Promise<string[]> {
    const rest = `Host: localhost\r\nConnection: close\r\n${fields}\r\n${body}`;
    return [
      await tunnelled(h1.port, `${method} / HTTP/1.1\r\n${rest}`),
      await direct(`${method} http://localhost:${plain.port}/ HTTP/1.1\r\n${rest}`),
      await direct(`${method} https://localhost:${h1.port}/ HTTP/1.1\r\n${rest}`),
    ];
  }

  /** An answer of an h1 origin, as every client sees it. */
  async function seenByAll(answer: string, method = 'GET'): Promise<{ texts: string[]; h2: H2Answer }> {
    say = (socket) => socket.write(answer, 'latin1');
    return { texts: await everyH1Way('', method), h2: await h2Ask(h1.port, [], method) };
  }

  test('Trailer without chunked coding, in requests', async () => {
    say = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    for (const [fields, method, body] of [
      ['Trailer: x\r\n', 'GET', ''],
      ['Trailer: x\r\nContent-Length: 3\r\n', 'POST', 'abc'],
      ['Trailer: x\r\n', 'HEAD', ''],
    ] as const)
      for (const text of await everyH1Way(fields, method, body)) expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await h2Ask(h1.port, ['trailer', 'x'])).toMatchObject({ status: 200, body: 'ok' });
    expect(await h2Ask(echo.port, ['trailer', 'x'])).toMatchObject({ status: 200 });
    const text = await tunnelled(echo.port, 'GET / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('Trailer without chunked coding, in responses, also to HEAD', async () => {
    for (const method of ['GET', 'HEAD']) {
      const body = method === 'HEAD' ? '' : 'ok';
      const seen = await seenByAll(`HTTP/1.1 200 OK\r\nTrailer: x\r\nContent-Length: 2\r\n\r\n${body}`, method);
      for (const text of seen.texts) expect(text).toMatch(new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*\r\n\r\n${body}$`));
      expect(seen.h2).toMatchObject({ status: 200, body });
    }
  });

  const TWICE = ['content-type', 'a/b', 'content-type', 'c/d', 'etag', '"1"', 'etag', '"2"']
    .concat(['x-content-type-options', 'nosniff', 'x-content-type-options', 'nosniff'])
    .concat(['authorization', 'one', 'authorization', 'two', 'constructor', 'c', '__proto__', 'p']);

  test('repeated single-value fields and names of objects pass in HTTP/2, both ways and in trailers', async () => {
    const trailers = ['etag', '"3"', 'etag', '"4"', 'constructor', 'c', '__proto__', 'p'];
    sayH2 = (socket, stream) =>
      socket.write(
        Buffer.concat([
          headers(stream, [':status', '103', ...TWICE], false),
          headers(stream, [':status', '200', ...TWICE], false),
          frame(FRAME.data, 0, stream, 'ok'),
          headers(stream, trailers, true),
        ]),
      );
    const got = await h2Ask(h2.port, TWICE);
    expect(got).toMatchObject({ status: 200, body: 'ok', fields: TWICE, trailers });
    expect(got.informed[0]).toHaveLength(TWICE.length);
    const text = await tunnelled(h2.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 103 .*\r\n[^]*HTTP\/1\.1 200 OK\r\ncontent-type: a\/b\r\ncontent-type: c\/d\r\n/);
    expect(text).toMatch(/\r\n0\r\netag: "3"\r\netag: "4"\r\nconstructor: c\r\n__proto__: p\r\n\r\n$/);

    const session = await openH2(echo.port);
    const sent = Object.assign(Object.create(null) as Record<string, string[]>, { etag: ['"5"', '"6"'] });
    sent['__proto__'] = ['p'];
    const fields = pseudoOf(echo.port, 'POST', TWICE);
    const answer = JSON.parse((await onStream(session, fields, { body: 'x', trailers: sent })).body) as {
      raw: string[];
      trailers: string[];
    };
    session.destroy();
    expect(answer.raw.join()).toContain(TWICE.join());
    expect(answer.trailers).toEqual(['etag', '"5"', 'etag', '"6"', '__proto__', 'p']);
  });

  test('te and connection fields in trailers of HTTP/1.1 are taken off', async () => {
    const answer =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: te\r\n\r\n2\r\nok\r\n0\r\nTE: gzip\r\nConnection: x\r\nKeep-Alive: 1\r\nUpgrade: x\r\nX-Kept: 1\r\n\r\n';
    const seen = await seenByAll(answer);
    for (const text of seen.texts) expect(text).toMatch(/\r\n0\r\nX-Kept: 1\r\n\r\n$/);
    expect(seen.h2).toMatchObject({ status: 200, body: 'ok', trailers: ['x-kept', '1'] });
    const request =
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nTE: gzip\r\nConnection: x\r\nX-Kept: 1\r\n\r\n';
    const text = await tunnelled(echo.port, request);
    expect(text).toContain('"trailers":["x-kept","1"]');
  });

  test.each(['te', 'connection'])('a %s field in HTTP/2 trailers is the end of that stream alone', async (name) => {
    sayH2 = (socket, stream) =>
      socket.write(
        Buffer.concat([
          headers(stream, [':status', '200'], false),
          frame(FRAME.data, 0, stream, 'ok'),
          headers(stream, [name, 'gzip'], true),
        ]),
      );
    const got = await h2Ask(h2.port);
    if (got.code === 0) expect(got).toMatchObject({ status: 200, trailers: [] });
    const socket = await throughTunnel(daemon, `localhost:${echo.port}`, { ALPNProtocols: ['h2'] });
    const bytes = Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(FRAME.settings, 0, 0),
      headers(1, pseudoOf(echo.port, 'POST'), false),
      frame(FRAME.data, 0, 1, 'x'),
      headers(1, [name, 'gzip'], true),
      headers(3, pseudoOf(echo.port, 'GET', [], '/next'), true),
    ]);
    socket.on('error', () => {});
    socket.write(bytes);
    expect(
      await daemon.event(
        'exchange',
        ({ path, authority }) => path === '/next' && authority === `localhost:${echo.port}`,
      ),
    ).toMatchObject({ status: 200 });
    socket.destroy();
  });

  test('CONNECT inside a connection is 400, in both versions', async () => {
    expect(await tunnelled(h1.port, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    const session = await openH2(echo.port);
    const got = await onStream(session, [':method', 'CONNECT', ':authority', 'a:443']);
    expect(got.status).toBe(400);
    session.destroy();
  });

  test('an Extended CONNECT does not bring a length of its own to an origin of HTTP/1.1', async () => {
    say = (socket) => socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    const before = h1.requests.length;
    const socket = await throughTunnel(daemon, `localhost:${h1.port}`, { ALPNProtocols: ['h2'] });
    socket.on('error', () => {});
    const tunnel = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':path', '/tunnel'];
    socket.write(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(FRAME.settings, 0, 0),
        headers(1, [...tunnel, ':authority', 'localhost', 'content-length', '38'], false),
      ]),
    );
    const line = await daemon.event('exchange', ({ path }) => path === '/tunnel');
    expect(line.status).toBe(403);
    expect(h1.requests.slice(before).join('\n')).not.toMatch(/content-length/i);
    socket.destroy();
  });

  test('a 2xx from HTTP/1.1 does not agree to an Extended CONNECT', async () => {
    say = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    const session = await openH2(h1.port);
    await once(session, 'remoteSettings');
    const tunnel = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'https', ':path', '/agreed'];
    const got = await onStream(session, [...tunnel, ':authority', 'localhost']);
    expect(got.status).toBe(502);
    session.destroy();
  });

  test.each([
    ['999 Odd', '999', 502],
    ['600 Odd', '600', 502],
    ['599 Odd', '599', 599],
    ['099 Odd', null, 502],
    ['1000 Odd', null, 502],
  ] as const)('status %s of an h1 origin', async (line, forH1, forH2) => {
    const seen = await seenByAll(`HTTP/1.1 ${line}\r\nContent-Length: 2\r\n\r\nok`);
    for (const text of seen.texts) expect(text.slice(0, 12)).toBe(`HTTP/1.1 ${forH1 ?? '502'}`);
    expect(seen.h2.status).toBe(forH2);
  });

  test.each(['000', '099', '101', '199', '600', '999', '20', 'abc', '-1'])(
    'status %s of an h2 origin',
    async (status) => {
      for (const end of [true, false]) {
        sayH2 = (socket, stream) => socket.write(headers(stream, [':status', status, 'content-length', '0'], end));
        const before = performance.now();
        const text = await tunnelled(h2.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        expect(text).toMatch(/^HTTP\/1\.1 (502|504|600|999|199) /);
        if (end) {
          const got = await h2Ask(h2.port);
          expect(got.status === 502 || got.code !== 0).toBe(true);
        }
        expect(performance.now() - before).toBeLessThan(12_000);
        if (['600', '999', '199'].includes(status)) break;
      }
    },
  );

  test.each([
    ['malformed', 'Link: <<>;;=,"\r\n'],
    ['several', 'Link: </a>; rel=preload\r\nLink: </b>; rel=preload\r\n'],
    ['a number', 'Link: 7\r\nConnection: x\r\n'],
  ])('103 with links that are %s', async (_name, links) => {
    const seen = await seenByAll(
      `HTTP/1.1 103 Early Hints\r\n${links}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
    );
    for (const text of seen.texts) {
      expect(text).toMatch(/^HTTP\/1\.1 103 Early Hints\r\nLink: [^]*\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*ok$/);
      expect(text.match(/^Link: /gm)).toHaveLength(links.match(/^Link: /gm)?.length ?? 0);
    }
    expect(seen.h2).toMatchObject({ status: 200, body: 'ok' });
    expect(seen.h2.informed).toHaveLength(1);
  });

  test.each([
    ['a control byte', 'a\x01b', '502'],
    ['latin1', 'caf\xe9', '200 caf\xe9\r\n'],
    ['UTF-8', 'caf\xc3\xa9', '200 caf\xc3\xa9\r\n'],
    ['nothing', '', '200 '],
  ])('a reason phrase with %s', async (_name, reason, expected) => {
    const seen = await seenByAll(`HTTP/1.1 200 ${reason}\r\nContent-Length: 2\r\n\r\nok`);
    for (const text of seen.texts) expect(text.slice(9, 9 + expected.length)).toBe(expected);
    expect(seen.h2.status).toBe(Number(expected.slice(0, 3)));
  });

  test('an unrequested 101 is 502, also behind announced trailers', async () => {
    for (const extra of ['', 'Trailer: x\r\n', 'Transfer-Encoding: chunked\r\nTrailer: x\r\n']) {
      const seen = await seenByAll(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n${extra}\r\nbytes`,
      );
      for (const text of seen.texts) expect(text).toMatch(/^HTTP\/1\.1 502 /);
      expect(seen.h2.status).toBe(502);
    }
  });

  test('an unrequested 100 is not passed on', async () => {
    const seen = await seenByAll(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    for (const text of seen.texts) expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(seen.h2).toMatchObject({ status: 200, informed: [] });
  });

  test('the answer to an Upgrade names the protocol that the origin chose', async () => {
    say = (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: second\r\n\r\n');
    const text = await tunnelled(
      h1.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: first, second\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 101 [^]*\r\nUpgrade: second\r\n/);
  });

  test('more than 64 interim responses are 502', async () => {
    const seen = await seenByAll(
      `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(65)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
    );
    for (const text of seen.texts)
      expect(text.replace(/^(HTTP\/1\.1 102 Processing\r\n\r\n)*/, '')).toMatch(/^HTTP\/1\.1 502 /);
    expect(seen.h2.status).toBe(502);
  });

  test('port 0 and ports above 65535 are 400', async () => {
    for (const port of [0, 65536, 99999]) {
      expect(await direct(`CONNECT localhost:${port} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
      for (const scheme of ['http', 'https'])
        expect(await direct(`GET ${scheme}://localhost:${port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(
          /^HTTP\/1\.1 400 /,
        );
    }
  });

  test.each([
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
    ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'],
    ['a Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['a Host with user information', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n'],
    ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
    ['a Host that is a list', 'GET / HTTP/1.1\r\nHost: a, b:99999999\r\n\r\n'],
    ['GET *', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('%s is 400', async (_name, bytes) => {
    const before = h1.requests.length;
    expect(await tunnelled(h1.port, bytes)).toMatch(/^HTTP\/1\.1 400 /);
    expect(h1.requests.length).toBe(before);
  });

  test('an :authority with user information, or one that Host contradicts, is 400', async () => {
    const session = await openH2(echo.port);
    const before = echo.seen.length;
    const at = (authority: string, fields: string[] = []): Promise<H2Answer> =>
      onStream(session, [':method', 'GET', ':scheme', 'https', ':path', '/', ':authority', authority, ...fields]);
    for (const got of [await at('user@localhost'), await at('localhost', ['host', 'other'])])
      expect(got.status === 400 || got.code === constants.NGHTTP2_PROTOCOL_ERROR).toBe(true);
    expect(echo.seen.length).toBe(before);
    session.destroy();
  });

  test.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 50\r\n', 'hello'],
    ['length beside chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'],
    ['chunked, identity', 'Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'],
    ['xchunked', 'Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'],
    ['chunked behind a tab', 'Transfer-Encoding:\x0bchunked\r\n', '0\r\n\r\n'],
    ['a space before the colon', 'Content-Length : 5\r\n', 'hello'],
    ['a folded line', 'X: a\r\n Content-Length: 5\r\n', 'hello'],
    ['a bare LF', 'X: a\nContent-Length: 5\r\n', 'hello'],
    ['a bare CR', 'X: a\rContent-Length: 5\r\n', 'hello'],
    ['a NUL', 'X: a\0\r\n', ''],
    ['a plus sign', 'Content-Length: +5\r\n', 'hello'],
    ['a list of lengths', 'Content-Length: 5, 5\r\n', 'hello'],
    ['a hexadecimal length', 'Content-Length: 0x5\r\n', 'hello'],
    ['a huge length', 'Content-Length: 99999999999999999999\r\n', 'hello'],
    ['a length above 2^53', 'Content-Length: 9007199254740993\r\n', 'hello'],
    ['a negative chunk', 'Transfer-Encoding: chunked\r\n', '-1\r\n\r\n'],
    ['a chunk that is too long', 'Transfer-Encoding: chunked\r\n', '1\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size of 17 digits', 'Transfer-Encoding: chunked\r\n', `${'0'.repeat(16)}1\r\nx\r\n0\r\n\r\n`],
    ['a chunk with a bare LF', 'Transfer-Encoding: chunked\r\n', '1\nx\r\n0\r\n\r\n'],
  ])('smuggling by %s is refused, and no second request reaches the origin', async (_name, fields, body) => {
    say = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const before = h1.requests.length;
    const text = await tunnelled(
      h1.port,
      `POST /outer HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    expect(text === '' || text.startsWith('HTTP/1.1 400 ')).toBe(true);
    expect(h1.requests.slice(before).join('\n')).not.toContain('/smuggled');
    expect(h1.requests.length - before).toBeLessThanOrEqual(1);
  });

  test.each(['abc', '-1', '1, 1', '99999999999999999999', '9007199254740993', ''])(
    'an answer with Content-Length %j is 502',
    async (length) => {
      const seen = await seenByAll(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\nok`);
      for (const text of seen.texts) expect(text).toMatch(/^HTTP\/1\.1 502 /);
      expect(seen.h2.status).toBe(502);
      sayH2 = (socket, stream) => {
        const head = headers(stream, [':status', '200', 'content-length', length], false);
        socket.write(Buffer.concat([head, frame(FRAME.data, 1, stream, 'ok')]));
      };
      const got = await h2Ask(h2.port);
      expect(got.status === 502 || got.code !== 0).toBe(true);
    },
  );

  test('pipelined requests are answered in their order, each when the one before is through', async () => {
    say = (socket, head) => {
      const path = head.split(' ')[1] ?? '';
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    };
    const requests = Array.from({ length: 200 }, (_, i) => `GET /p${i} HTTP/1.1\r\nHost: a\r\n`);
    const text = await tunnelled(h1.port, `${requests.join('\r\n')}Connection: close\r\n\r\n`);
    expect([...text.matchAll(/\/p(\d+)(?=HTTP|$)/g)].map(([, n]) => Number(n))).toEqual(requests.map((_, i) => i));
  });

  test('requests with too many fields are 431 in both versions', async () => {
    const long = 'x'.repeat(70_000);
    expect(await tunnelled(h1.port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${long}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    const before = echo.seen.length;
    const session = await openH2(echo.port);
    // One field of HTTP/2 above 64 KB ends its session in nghttp2; several do not.
    const many = Array.from({ length: 7 }, (_, i) => [`x-${i}`, long.slice(0, 10_000)]).flat();
    expect(await onStream(session, pseudoOf(echo.port, 'GET', many))).toMatchObject({ status: 431 });
    const path = `/${long.slice(0, 40_000)}`;
    expect(await onStream(session, pseudoOf(echo.port, 'GET', many.slice(0, 6), path))).toMatchObject({ status: 431 });
    expect(echo.seen.length).toBe(before);
    expect((await onStream(session, pseudoOf(echo.port, 'GET'))).status).toBe(200);
    session.destroy();
  });

  test.each([
    [60_000, 200],
    [100_000, 502],
    [200_000, 502],
  ])('fields of %i bytes in an HTTP/2 response are %i, and no other stream fails for good', async (bytes, status) => {
    const line = 'x'.repeat(10_000);
    const large = Array.from({ length: bytes / 10_000 }, (_, i) => [`x-${i}`, line.slice(0, 9_950)]).flat();
    let streams = 0;
    const big = await rawH2Origin(tls, (socket, stream) => {
      streams += 1;
      socket.write(
        streams === 1 ? headers(stream, [':status', '200', ...large], true) : headers(stream, [':status', '200'], true),
      );
    });
    const session = await openH2(big.port);
    const first = onStream(session, pseudoOf(big.port, 'GET'));
    const others = [1, 2, 3].map(() => onStream(session, pseudoOf(big.port, 'GET')));
    const got = await first;
    expect(got.status).toBe(status);
    for (const other of await Promise.all(others)) expect([200, 502]).toContain(other.status);
    expect((await onStream(session, pseudoOf(big.port, 'GET'))).status).toBe(200);
    session.destroy();
    await big.close();
  });

  test('thousands of requests with bodies, reset at once', { timeout: 60_000 }, async () => {
    say = () => {};
    const codes = [constants.NGHTTP2_CANCEL, 0, 0xffff_ffff, constants.NGHTTP2_REFUSED_STREAM];
    for (const port of [quiet.port, h1.port])
      for (const code of codes) {
        const socket = await throughTunnel(daemon, `localhost:${port}`, { ALPNProtocols: ['h2'] });
        const frames = [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(FRAME.settings, 0, 0)];
        const reset = Buffer.alloc(4);
        reset.writeUInt32BE(code);
        for (let stream = 1; stream < 1000; stream += 2)
          frames.push(
            headers(stream, pseudoOf(port, 'POST', ['content-length', '100000'], '/reset'), false),
            frame(FRAME.data, 0, stream, 'x'.repeat(100)),
            frame(FRAME.reset, 0, stream, reset),
          );
        const closed = new Promise((resolve) => socket.on('close', resolve));
        socket.on('error', () => {}).resume();
        socket.end(Buffer.concat(frames));
        await closed;
      }
    say = (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    expect(await h2Ask(h1.port)).toMatchObject({ status: 200, body: 'ok' });
    expect(await h2Ask(quiet.port)).toMatchObject({ status: 200 });
  });

  test('interim responses to clients that do not read take a bounded memory', { timeout: 60_000 }, async () => {
    const inform = `HTTP/1.1 103 Early Hints\r\nX: ${'x'.repeat(60_000)}\r\n\r\n`.repeat(64);
    let answered = 0;
    let wake = (): void => {};
    say = (socket) => {
      socket.write(inform, () => {
        answered += 1;
        wake();
      });
    };
    const rss = async (): Promise<number> =>
      Number(/^process_resident_memory_bytes (\S+)/m.exec(await (await daemon.api('/metrics')).text())?.[1]);
    const before = await rss();
    const sockets: Socket[] = [];
    for (let i = 0; i < 4; i++) {
      const socket = await throughTunnel(daemon, `localhost:${h1.port}`, { ALPNProtocols: ['h2'] });
      socket.on('error', () => {}).pause();
      sockets.push(socket);
      const streams = Array.from({ length: 50 }, (_, n) => headers(2 * n + 1, pseudoOf(h1.port, 'GET'), true));
      const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      socket.write(Buffer.concat([preface, frame(FRAME.settings, 0, 0), ...streams]));
    }
    await new Promise<void>((resolve) => {
      wake = () => answered >= 200 && resolve();
      wake();
    });
    const grown = (await rss()) - before;
    for (const socket of sockets) socket.destroy();
    expect(Number.isFinite(grown)).toBe(true);
    expect(grown).toBeLessThan(250e6);
  });
});
