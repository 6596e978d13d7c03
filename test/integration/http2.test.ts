import { once } from 'node:events';
import http2, { constants } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScene, type Scene } from '../support/scene.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { ask, askH2 } from '../support/exchange.ts';
import { type H2Origin, h2Origin } from '../support/h2-origin.ts';
import type { Origin, Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { throughTunnel } from '../support/tunnel.ts';

interface Echo {
  method: string;
  path: string;
  raw: string[];
  client: string | null;
  trailers: string[];
  body: string;
}

describe('HTTP/2', () => {
  let daemon: RunningDaemon;
  let h2Only: H2Origin;
  let both: H2Origin;
  let h1Only: Origin;
  let scene: Scene;

  beforeAll(async () => {
    scene = await createScene();
    const { tls } = scene;
    ({ origin: h1Only, daemon } = scene);
    h2Only = await h2Origin(tls);
    both = await h2Origin({ ...tls, allowHTTP1: true }, null);
    both.server.on('request', (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ version: request.httpVersion }));
    });
  });
  afterAll(async () => {
    await Promise.all([scene.close(), h2Only.close(), both.close()]);
  });

  const recorded = (path: string) => daemon.event('exchange', (line) => line.path === path);

  async function session(origin: { port: number }): Promise<http2.ClientHttp2Session> {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`, { ALPNProtocols: ['h2'] });
    expect(socket.alpnProtocol).toBe('h2');
    return http2.connect(`https://localhost:${origin.port}`, { createConnection: () => socket });
  }

  interface Answer {
    readonly status: number;
    readonly raw: string[];
    readonly trailers: string[];
    readonly body: string;
    readonly code: number;
  }

  function ask(
    client: http2.ClientHttp2Session,
    headers: http2.OutgoingHttpHeaders,
    body?: string | Buffer,
    trailers?: http2.OutgoingHttpHeaders,
  ): Promise<Answer> {
    return new Promise((resolve) => {
      const stream = client.request(headers, {
        endStream: body === undefined,
        waitForTrailers: trailers !== undefined,
      });
      let status = 0;
      let raw: string[] = [];
      let trailing: string[] = [];
      const chunks: Buffer[] = [];
      stream.on('response', (response, _flags, list) => {
        status = Number(response[':status']);
        raw = list;
      });
      stream.on('trailers', (...[, , list]: unknown[]) => {
        trailing = list as string[];
      });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', () => {});
      stream.on('close', () =>
        resolve({
          status,
          raw,
          trailers: trailing,
          body: Buffer.concat(chunks).toString('latin1'),
          code: stream.rstCode,
        }),
      );
      if (body !== undefined) stream.end(body);
    });
  }

  test('2 to 2: fields, their order and duplicates, bodies and trailers both ways', async () => {
    const client = await session(h2Only);
    const body = 'x'.repeat(300_000);
    const answer = await ask(
      client,
      { ':method': 'POST', ':path': '/h2-h2?q=1', 'x-a': ['1', '2'], te: 'trailers', 'x-b': 'ü' },
      body,
      { 'x-sum': 'abc' },
    );
    expect(answer.status).toBe(200);
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo).toMatchObject({
      method: 'POST',
      path: '/h2-h2?q=1',
      client: 'alice',
      trailers: ['x-sum', 'abc'],
      body,
    });
    const fields = echo.raw.slice(echo.raw.indexOf('x-a'));
    expect(fields.slice(0, 4)).toEqual(['x-a', '1', 'x-a', '2']);
    expect(echo.raw).toContain('te');
    expect(answer.raw.join(' ')).toContain('x-twice 1 x-twice 2');
    expect(answer.trailers).toEqual(['x-trailer', 'after']);
    expect(await recorded('/h2-h2')).toMatchObject({
      http: '2',
      upstream_http: '2',
      status: 200,
      request_bytes: 300_000,
      certificate: 'alice',
    });
    client.close();
  });

  test('2 to 1.1: the origin has no HTTP/2', async () => {
    const client = await session(h1Only);
    const answer = await ask(client, { ':method': 'POST', ':path': '/h2-h1', cookie: ['a=1', 'b=2'] }, 'payload');
    const seen = JSON.parse(answer.body) as Seen;
    expect(seen).toMatchObject({ method: 'POST', url: '/h2-h1', client: 'alice' });
    expect(seen.fields.join()).toContain('cookie,a=1; b=2');
    expect(seen.fields.map((field) => field.toLowerCase())).toContain(`localhost:${h1Only.port}`);
    expect(await recorded('/h2-h1')).toMatchObject({ http: '2', upstream_http: '1.1', request_bytes: 7 });
    // and continues to be used
    expect((await ask(client, { ':path': '/h2-h1-again' })).status).toBe(200);
    client.close();
  });

  test('1.1 to 1.1 where the origin has both; 1.1 to 2 where it has only that', async () => {
    const direct = await curl(`${both.url}/h1-both`, [...through(daemon), '--http1.1']);
    expect(direct.json()).toEqual({ version: '1.1' });
    const translated = await curl(`${h2Only.url}/h1-h2`, [
      ...through(daemon),
      '--http1.1',
      '-d',
      'payload',
      '-H',
      'X-Case: kept',
    ]);
    expect(translated.status).toBe(200);
    expect(translated.json<Echo>()).toMatchObject({ method: 'POST', client: 'alice', body: 'payload' });
    expect(await recorded('/h1-h2')).toMatchObject({ http: '1.1', upstream_http: '2' });
  });

  test('2 to 2 where the origin has both, with curl', async () => {
    const result = await curl(`${both.url}/curl-h2`, [...through(daemon), '--http2']);
    expect(result.status).toBe(200);
    expect(await recorded('/curl-h2')).toMatchObject({ http: '2', upstream_http: '2' });
  });

  test('many streams at once share one connection to the origin', async () => {
    const client = await session(h2Only);
    await ask(client, { ':path': '/first' });
    const before = h2Only.sessions();
    const answers = await Promise.all(
      Array.from({ length: 80 }, (_, i) => ask(client, { ':path': `/many-${i}`, ':method': 'PUT' }, `body ${i}`)),
    );
    answers.forEach((answer, i) =>
      expect(JSON.parse(answer.body)).toMatchObject({ path: `/many-${i}`, body: `body ${i}` }),
    );
    expect(h2Only.sessions()).toBe(before);
    client.close();
  });

  test('a WebSocket to an origin that has only HTTP/2 and takes none there is refused', async () => {
    await ask(await session(h2Only), { ':path': '/known' });
    const before = h2Only.sessions();
    const socket = await throughTunnel(daemon, `localhost:${h2Only.port}`, { ALPNProtocols: ['http/1.1'] });
    socket.write('GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 502 [^]*alert-id=120/);
    expect(h2Only.sessions()).toBe(before);
    socket.destroy();
  });

  test('a refusal is an answer on its stream, the others go on', async () => {
    const client = await session(h2Only);
    const refused = await ask(client, { ':path': '/refused', 'mtlsd-certificate': 'other' });
    expect(refused.status).toBe(502);
    expect(refused.body).toContain('CLIENT_CERTIFICATE_UNKNOWN');
    expect((await ask(client, { ':path': '/fine' })).status).toBe(200);
    client.close();
  });
});

test('request fields up to a raised limits.header_bytes reach an origin of HTTP/2', async () => {
  const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
  const origin = await h2Origin({ key: keyPem, cert: certPem, settings: { maxHeaderListSize: 200_000 } });
  const daemon = await startDaemon({
    store: 'version: 1\nverification: { mode: report }\n',
    settings: 'limits: { header_bytes: 122880 }\n',
  });
  const headers = { 'x-a': 'a'.repeat(50_000), 'x-b': 'b'.repeat(50_000) };
  for (const send of [ask, askH2]) {
    const { status, body } = await send(daemon, `localhost:${origin.port}`, { headers });
    expect(status).toBe(200);
    expect((JSON.parse(body) as Echo).raw).toEqual(expect.arrayContaining(Object.values(headers)));
  }
  await Promise.all([daemon.stop(), origin.close()]);
});

describe('HTTP/2 streams', () => {
  let daemon: RunningDaemon;
  let origin: H2Origin;
  const resets: number[] = [];
  let onReset = (): void => {};

  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    origin = await h2Origin(
      { key: keyPem, cert: certPem, settings: { enableConnectProtocol: true } },
      (stream, { headers }) => {
        stream.on('close', () => {
          resets.push(stream.rstCode);
          onReset();
        });
        switch (headers[':path']) {
          case '/reset':
            stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
            break;
          case '/reset-late':
            stream.respond({ ':status': 200 }, { waitForTrailers: true }); // so that no end precedes the reset
            stream.on('wantTrailers', () => {});
            stream.write('part');
            setImmediate(() => stream.close(constants.NGHTTP2_INADEQUATE_SECURITY));
            break;
          case '/goaway':
            stream.respond({ ':status': 200 });
            stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
            stream.end('last');
            break;
          case '/early':
            stream.respond({ ':status': 413 });
            stream.end('too much');
            break;
          case '/hints':
            stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
            stream.respond({ ':status': 200 });
            stream.end('hinted');
            break;
          case '/silent':
            break;
          default: // full duplex: each chunk comes back before the next is sent
            stream.respond({ ':status': 200 });
            stream.on('data', (chunk: Buffer) => stream.write(chunk));
            stream.on('end', () => stream.end());
        }
      },
    );
    daemon = await startDaemon({ store: 'version: 1\nverification: { mode: report }\n' });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  async function open(
    path: string,
    headers: http2.OutgoingHttpHeaders = {},
    options: http2.ClientSessionRequestOptions = {},
  ) {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`, { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://localhost:${origin.port}`, { createConnection: () => socket });
    const stream = client.request({ ':path': path, ...headers }, options);
    stream.on('error', () => {});
    return { client, stream };
  }
  const closed = (stream: http2.ClientHttp2Stream): Promise<number> =>
    new Promise((resolve) => stream.on('close', () => resolve(stream.rstCode)));

  test.each([
    ['/reset', constants.NGHTTP2_ENHANCE_YOUR_CALM],
    ['/reset-late', constants.NGHTTP2_INADEQUATE_SECURITY],
  ])('the origin’s RST_STREAM reaches the client with its code: %s', async (path, code) => {
    const { client, stream } = await open(path);
    stream.resume();
    expect(await closed(stream)).toBe(code);
    expect(await daemon.event('exchange', (line) => line.path === path)).toMatchObject({
      error: { code: 'CONNECTION_CLOSED' },
    });
    client.close();
  });

  test('the client’s RST_STREAM reaches the origin with its code', async () => {
    const { client, stream } = await open('/silent');
    const before = resets.length;
    const reset = new Promise<void>((resolve) => {
      onReset = resolve;
    });
    const wait = async (): Promise<void> => {
      // the request has to be there before it is reset
      for (let n = 0; !origin.seen.some(({ headers }) => headers[':path'] === '/silent'); n++)
        await (await daemon.api('/healthz')).text();
    };
    await wait();
    stream.close(constants.NGHTTP2_CANCEL);
    await reset;
    expect(resets.slice(before)).toEqual([constants.NGHTTP2_CANCEL]);
    client.close();
  });

  test('full duplex: each message comes back before the next goes', async () => {
    const { client, stream } = await open('/echo', { ':method': 'POST' }, { endStream: false });
    for (const word of ['one', 'two', 'three']) {
      stream.write(word);
      expect(String(await new Promise<Buffer>((resolve) => stream.once('data', resolve)))).toBe(word);
    }
    stream.end();
    expect(await closed(stream)).toBe(0);
    client.close();
  });

  test('after GOAWAY the next request goes over a new connection', async () => {
    const { client, stream } = await open('/goaway');
    stream.resume();
    await closed(stream);
    const sessions = origin.sessions();
    const next = client.request({ ':path': '/after', ':method': 'POST' });
    next.end('x');
    next.resume();
    expect(await closed(next)).toBe(0);
    expect(origin.sessions()).toBe(sessions + 1);
    client.close();
  });

  test('an early response comes while the request is still going', async () => {
    const { client, stream } = await open('/early', { ':method': 'POST' }, { endStream: false });
    stream.write('a');
    const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
    expect(status).toBe(413);
    client.destroy();
  });

  test('103 comes before the response', async () => {
    const { client, stream } = await open('/hints');
    const hints = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.on('headers', resolve));
    expect(hints).toMatchObject({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.resume();
    await closed(stream);
    client.close();
  });

  test('a large body in both directions, windows and all', async () => {
    const { client, stream } = await open('/large', { ':method': 'POST' }, { endStream: false });
    const part = Buffer.alloc(100_000, 'w');
    let got = 0;
    stream.on('data', (chunk: Buffer) => {
      got += chunk.byteLength;
    });
    for (let i = 0; i < 200; i++)
      if (!stream.write(part)) await new Promise((resolve) => stream.once('drain', resolve));
    stream.end();
    expect(await closed(stream)).toBe(0);
    expect(got).toBe(20_000_000);
    client.close();
  });

  test('Extended CONNECT passes where both sides have it', async () => {
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`, { ALPNProtocols: ['h2'] });
    const client = http2.connect(`https://localhost:${origin.port}`, { createConnection: () => socket });
    await new Promise((resolve) => client.on('remoteSettings', resolve));
    expect(client.remoteSettings.enableConnectProtocol).toBe(true);
    const stream = client.request(
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', 'sec-websocket-version': '13' },
      { endStream: false },
    );
    const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])));
    expect(status).toBe(200);
    expect(origin.seen.at(-1)?.headers).toMatchObject({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
    });
    stream.write('ping');
    expect(String(await new Promise<Buffer>((resolve) => stream.once('data', resolve)))).toBe('ping');
    stream.end();
    stream.resume();
    await closed(stream);
    client.close();
  });
});
