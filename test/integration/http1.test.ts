import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { throughTunnel } from '../support/tunnel.ts';

describe('HTTP/1.1 in full', () => {
  let daemon: RunningDaemon;
  let origin: Origin;

  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({ key: keyPem, cert: certPem, maxHeaderSize: 100_000 }, answer);
    origin.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      answer(request, response),
    );
    daemon = await startDaemon({
      store: 'version: 1\nverification: { mode: report }\n',
      settings: 'timeouts: { request: 2s }\n',
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    switch (request.url?.split('?')[0]) {
      case '/status':
        response.writeHead(Number(request.headers['x-status']), 'As Said', { 'X-Status': 'kept' });
        response.end();
        return;
      case '/events':
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write('data: first\n\n');
        request.socket.once('close', () => response.end());
        return;
      case '/hints':
        response.writeEarlyHints({ link: '</style.css>; rel=preload', 'x-hint': 'yes' });
        response.end('hinted');
        return;
      case '/early':
        response.writeHead(413, { Connection: 'close' });
        response.end('too much');
        return;
      case '/close-delimited':
        request.socket.end('HTTP/1.1 200 OK\r\nX-Framing: close\r\n\r\nuntil the end');
        return;
      case '/fields':
        response.writeHead(200, [
          'X-B',
          '1',
          'x-a',
          '2',
          'X-B',
          '3',
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-Latin',
          'caf\u00e9',
          // Names that an object has of its own.
          '__proto__',
          'p',
          'Constructor',
          'c',
          'constructor',
          'd',
        ]);
        response.end(Buffer.from(JSON.stringify(request.rawHeaders))); // as text, Node would send the fields in UTF-8 too
        return;
      case '/trailers':
        request.on('data', () => {});
        request.on('end', () => {
          response.writeHead(200, { Trailer: 'X-After' });
          response.write(JSON.stringify(request.rawTrailers));
          response.addTrailers({ 'X-After': 'body' });
          response.end();
        });
        return;
      default:
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () =>
          response.end(
            JSON.stringify({
              method: request.method,
              url: request.url,
              body: Buffer.concat(chunks).toString(),
              fields: request.rawHeaders,
            }),
          ),
        );
    }
  }

  const open = (): Promise<TLSSocket> =>
    throughTunnel(daemon, `localhost:${origin.port}`, { ALPNProtocols: ['http/1.1'] });

  /** Sends bytes as they are and reads until the text fits or the connection ends. */
  async function raw(bytes: string, until: RegExp | null, socket?: TLSSocket): Promise<string> {
    const used = socket ?? (await open());
    used.write(bytes, 'latin1');
    let text = '';
    await new Promise<void>((resolve) => {
      used.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (until?.test(text)) resolve();
      });
      used.on('close', () => resolve());
      used.on('error', () => resolve());
    });
    used.removeAllListeners('data');
    if (!socket) used.destroy();
    return text;
  }

  test('order, case and duplicates of fields survive both ways; hop-by-hop fields do not', async () => {
    const text = await raw(
      'GET /fields HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nx-TWO: 2\r\nX-One: 3\r\nCookie: c=1\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic canary\r\nX-Named: gone\r\nConnection: X-Named, Cookie, close\r\nTE: trailers\r\nX-Obs: caf\u00e9\r\n\r\n',
      /\]$|\]\r\n0\r\n/,
    );
    expect(text).toMatch(/X-B: 1\r\nx-a: 2\r\nX-B: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: caf\u00e9\r\n/);
    expect(text).toMatch(/__proto__: p\r\nConstructor: c\r\nconstructor: d\r\n/);
    const seen = JSON.parse(/\[.*\]/.exec(text)?.[0] ?? '[]') as string[];
    const own = seen.filter((_, i) => i % 2 === 0);
    expect(seen.join()).toMatch(/X-One,1,x-TWO,2,X-One,3,Cookie,c=1/);
    // RFC 9110 §10.1.4: the one value of TE that is forwarded, with its Connection option.
    expect(seen.join()).toContain('TE,trailers,Connection,TE');
    for (const name of ['Keep-Alive', 'Proxy-Authorization', 'X-Named']) expect(own).not.toContain(name);
  });

  test.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT', 'PURGE', 'QUERY'])(
    'method %s',
    async (method) => {
      const result = await curl(`${origin.url}/method`, [...through(daemon), '--http1.1', '-X', method]);
      expect(result.json()).toMatchObject({ method });
    },
  );

  test('HEAD has fields and no body; 204 and 304 neither wait nor chunk', async () => {
    expect(await raw('HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', null)).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/,
    );
    for (const status of [204, 304]) {
      const text = await raw(
        `GET /status HTTP/1.1\r\nHost: localhost\r\nX-Status: ${status}\r\nConnection: close\r\n\r\n`,
        null,
      );
      expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} As Said\r\nX-Status: kept\r\n`));
      expect(text).toMatch(/\r\n\r\n$/);
      expect(text.toLowerCase()).not.toContain('transfer-encoding');
    }
  });

  test('OPTIONS *', async () => {
    const text = await raw('OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', null);
    expect(text).toContain('"url":"*"');
  });

  test('chunked bodies with trailers, both ways', async () => {
    const text = await raw(
      'POST /trailers HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n',
      /\r\n0\r\n[^]*\r\n\r\n$/,
    );
    expect(text).toContain('["X-Sum","abc"]');
    expect(text).toMatch(/\r\n0\r\nX-After: body\r\n\r\n$/);
  });

  test('pipelined requests are answered in their order', async () => {
    const text = await raw(
      'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n',
      /"url":"\/3"/,
    );
    expect([...text.matchAll(/"url":"(\/\d)"/g)].map(([, path]) => path)).toEqual(['/1', '/2', '/3']);
  });

  test('on a plain connection, a client that has said all and ends its side still gets the answer', async () => {
    const socket = connect(daemon.proxyPort, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.end(`GET https://localhost:${origin.port}/half HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await once(socket, 'close');
    expect(text).toContain('"url":"/half"');
  });

  test('server-sent events come at once', async () => {
    expect(await raw('GET /events HTTP/1.1\r\nHost: a\r\n\r\n', /data: first/)).toContain('text/event-stream');
  });

  test('a body that ends with the connection', async () => {
    expect(await raw('GET /close-delimited HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', null)).toMatch(
      /X-Framing: close[^]*until the end/,
    );
  });

  test('103 is passed on', async () => {
    expect(await raw('GET /hints HTTP/1.1\r\nHost: a\r\n\r\n', /hinted/)).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/style.css>; rel=preload\r\n[^]*HTTP\/1\.1 200 OK/i,
    );
  });

  test('100 comes when the origin is there to take the body, and not where it is not', async () => {
    const socket = await open();
    const head = await raw(
      'POST /expected HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
      /\r\n\r\n/,
      socket,
    );
    expect(head).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(await raw('hello', /"body":"hello"/, socket)).toContain('200 OK');
    socket.destroy();
    const dead = await throughTunnel(daemon, 'localhost:1', { ALPNProtocols: ['http/1.1'] });
    const refused = await raw(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
      null,
      dead,
    );
    expect(refused).toMatch(/^HTTP\/1\.1 502 /);
    expect(refused).toContain('CONNECTION_REFUSED');
  });

  test('an early response comes while the body is still on its way', async () => {
    const text = await raw(
      `POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n${'x'.repeat(10_000)}`,
      /too much/,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('HTTP/1.0 clients', async () => {
    const text = await raw('GET /old HTTP/1.0\r\nHost: a\r\n\r\n', null);
    expect(text).toContain('"url":"/old"');
    expect(text.toLowerCase()).not.toContain('transfer-encoding: chunked');
  });

  test('absolute-form inside the tunnel: the same authority is taken, another refused', async () => {
    const text = await raw(
      `GET https://localhost:${origin.port}/abs?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      null,
    );
    expect(text).toContain('"url":"/abs?q"');
    expect(await raw('GET https://other.example/abs HTTP/1.1\r\nHost: a\r\n\r\n', null)).toMatch(
      /^HTTP\/1\.1 421 [^]*details="MISDIRECTED_REQUEST: /,
    );
  });

  describe('what two readers could understand in two ways is refused', () => {
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
    test.each([
      [
        'Content-Length with Transfer-Encoding',
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      [
        'two Content-Lengths',
        `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`,
      ],
      ['a list of Content-Lengths', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 0\r\n\r\n${smuggled}`],
      ['a signed Content-Length', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\n${smuggled}`],
      [
        'Transfer-Encoding: gzip, chunked',
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      ['Transfer-Encoding: identity', `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n${smuggled}`],
      [
        'Transfer-Encoding: xchunked',
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      [
        'two Transfer-Encodings',
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      [
        'Transfer-Encoding in HTTP/1.0',
        `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      [
        'a space before the colon',
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      ],
      ['obs-fold', `POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n${smuggled}`],
      ['a bare LF', `GET / HTTP/1.1\nHost: a\n\n${smuggled}`],
      ['a bare CR in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n${smuggled}`],
      ['NUL in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n${smuggled}`],
      [
        'a chunk size with a sign',
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${smuggled}`,
      ],
      ['a control character in the path', `GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
      ['a method with a character that no token has', `GE(T / HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`],
      ['two Hosts', `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`],
    ])('%s', async (_name, bytes) => {
      const before = origin.seen.length;
      const text = await raw(bytes, null);
      expect(text).toMatch(/^HTTP\/1\.1 (400|501) /);
      expect(text).toContain('BAD_REQUEST');
      expect(origin.seen.slice(before).map(({ url }) => url)).not.toContain('/smuggled');
      expect(origin.seen.length).toBe(before);
    });
  });

  test('fields beyond the limit get 431', async () => {
    expect(await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`, null)).toMatch(
      /^HTTP\/1\.1 431 [^]*REQUEST_TOO_LARGE/,
    );
  });

  test('a client that dribbles its fields is cut off', async () => {
    const socket = await open();
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.on('close', () => resolve())); // the daemon's limit is 2 s here
    expect(text).toMatch(/^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/);
  });
});
