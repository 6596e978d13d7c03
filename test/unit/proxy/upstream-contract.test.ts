/** What upstream/stream.ts promises of an upstream stream, held for both versions of HTTP: the same events in the same order. */
import { createServer as createH1, type IncomingMessage, ServerResponse } from 'node:http';
import http2, { constants, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MtlsdError } from '../../../src/core/errors.ts';
import { UpstreamConnection } from '../../../src/proxy/upstream/connection.ts';
import { H1Connection } from '../../../src/proxy/upstream/h1.ts';
import { H2Session } from '../../../src/proxy/upstream/h2.ts';
import type { UpstreamEvents, UpstreamRequest, UpstreamStream } from '../../../src/proxy/upstream/stream.ts';
import { connectionRecord } from '../../support/records.ts';

/** The origin's side of one exchange, in either version. */
interface Far {
  readonly method: string;
  /** The request's body and trailers, once it is whole. */
  readonly whole: Promise<{ body: string; trailers: string[] }>;
  /** The request ended without being whole. */
  readonly brokenOff: Promise<void>;
  inform(fields: Record<string, string>): void;
  respond(status: number, ended: boolean, trailers?: Record<string, string>): void;
  write(text: string): void;
  end(): void;
  /** Ends in the middle. */
  breakOff(): void;
  /** Agrees to the other protocol. */
  tunnel(): Duplex;
}

type Play = (far: Far) => void;

/** Sends requests to an origin that answers as `play` says. */
interface Line {
  /** On a new connection; resolves once the origin can be written to. */
  send(request: UpstreamRequest, events: UpstreamEvents): Promise<void>;
}

let play: Play = () => {};
const faults: unknown[] = [];
const options = { headerBytes: 65_536, keepAliveMs: 60_000, reportFault: (fault: unknown) => void faults.push(fault) };

function farOfH1(request: IncomingMessage, response: ServerResponse): Far {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  let trailers: Record<string, string> = {};
  return {
    method: request.method ?? '',
    whole: new Promise((resolve) => {
      request.on('end', () => resolve({ body: Buffer.concat(chunks).toString(), trailers: request.rawTrailers }));
    }),
    brokenOff: new Promise((resolve) => request.socket.on('close', () => resolve())),
    inform: (fields) => response.writeEarlyHints({ link: '</a>', ...fields }),
    respond: (status, ended, later = {}) => {
      trailers = later;
      if (Object.keys(later).length > 0) response.setHeader('Trailer', Object.keys(later).join(', '));
      response.writeHead(status, { 'x-far': 'yes' });
      if (ended) response.end();
      else response.flushHeaders();
    },
    write: (text) => void response.write(text),
    end: () => {
      response.addTrailers(trailers);
      response.end();
    },
    breakOff: () => request.socket.destroy(),
    tunnel: () => request.socket,
  };
}

function farOfH2(stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Far {
  const chunks: Buffer[] = [];
  let received: string[] = [];
  let trailers: Record<string, string> = {};
  stream.on('error', () => {});
  if (headers[':method'] !== 'CONNECT') stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('trailers', (...[, , list]: unknown[]) => {
    received = list as string[];
  });
  return {
    method: headers[':method'] ?? '',
    whole: new Promise((resolve) => {
      stream.on('end', () => resolve({ body: Buffer.concat(chunks).toString(), trailers: received }));
    }),
    brokenOff: new Promise((resolve) => stream.on('close', () => resolve())),
    inform: (fields) => stream.additionalHeaders({ ':status': 103, ...fields }),
    respond: (status, ended, later = {}) => {
      trailers = later;
      stream.respond({ ':status': status, 'x-far': 'yes' }, { endStream: ended, waitForTrailers: !ended });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    },
    write: (text) => void stream.write(text),
    end: () => void stream.end(),
    breakOff: () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    tunnel: () => {
      stream.respond({ ':status': 200 });
      return stream;
    },
  };
}

const sockets = new Set<Socket>();

async function lineTo(server: Server, alpn: 'h2' | 'http/1.1'): Promise<Line> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    send: (request, events) =>
      new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1').once('error', reject);
        sockets.add(socket);
        socket.once('connect', () => {
          const base = connectionRecord({});
          const record = connectionRecord({ tls: base.tls && { ...base.tls, alpn } });
          const upstream = new UpstreamConnection(socket, record);
          if (alpn === 'h2') {
            let sent = false;
            const session = new H2Session(upstream, 100, options, {
              // Its settings are there, and so is the word on tunnels.
              onRoom: () => {
                if (sent) return;
                sent = true;
                session.send(request, events);
                resolve();
              },
              onClosed: () => {},
            });
          } else {
            new H1Connection(upstream, options, { onIdle: () => {}, onClosed: () => {} }).send(request, events);
            resolve();
          }
        });
      }),
  };
}

/** Notes events as text, and lets the test act on them and wait for them. */
class Heard implements UpstreamEvents {
  readonly log: string[] = [];
  readonly last = Promise.withResolvers<void>();
  upstream: UpstreamStream | null = null;
  readonly act: (event: string, heard: Heard) => void;
  data = '';
  drained = Promise.withResolvers<void>();

  constructor(act: (event: string, heard: Heard) => void = () => {}) {
    this.act = act;
  }

  #note(event: string, isLast = false): void {
    // A body comes in pieces of any size.
    if (event !== 'data' || this.log.at(-1) !== 'data') this.log.push(event);
    this.act(event, this);
    if (isLast) this.last.resolve();
  }

  onReached(upstream: UpstreamStream): void {
    this.upstream = upstream;
    this.#note('reached');
  }
  onInform(status: number): void {
    this.#note(`inform ${status}`);
  }
  onResponse(status: number, _reason: string, fields: string[], ended: boolean): void {
    const at = fields.findIndex((name) => name.toLowerCase() === 'x-far');
    this.#note(`response ${status}${ended ? ' ended' : ''}${fields[at + 1] === 'yes' ? '' : ' without its fields'}`);
  }
  onData(chunk: Buffer): void {
    this.data += chunk.toString('latin1');
    this.#note('data');
  }
  onEnd(trailers: string[]): void {
    this.#note(`end${trailers.length > 0 ? ` ${trailers.join('=').toLowerCase()}` : ''}`, true);
  }
  tunnelled: Duplex | null = null;
  onTunnel(stream: Duplex): void {
    this.tunnelled = stream;
    this.#note('tunnel', true);
  }
  onDrain(): void {
    this.drained.resolve();
  }
  onError(error: Error): void {
    this.#note(`error ${error instanceof MtlsdError ? error.code : 'of the stream'}`, true);
  }
  onWithdrawn(): void {
    this.#note('withdrawn', true);
  }
}

const GET: UpstreamRequest = {
  method: 'GET',
  path: '/',
  fields: [],
  host: 'localhost',
  hasBody: false,
  teTrailers: false,
  tunnel: null,
};
const POST: UpstreamRequest = { ...GET, method: 'POST', hasBody: true };

describe.each(['http/1.1', 'h2'] as const)('an upstream stream of %s', (version) => {
  let server: Server;
  let line: Line;

  beforeAll(async () => {
    if (version === 'h2') {
      const h2 = http2.createServer({ settings: { enableConnectProtocol: true } });
      h2.on('stream', (stream: ServerHttp2Stream, headers) => play(farOfH2(stream, headers)));
      h2.on('sessionError', () => {});
      server = h2;
    } else {
      const h1 = createH1((request, response) => play(farOfH1(request, response)));
      h1.on('upgrade', (request: IncomingMessage, socket: Socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        play({ ...farOfH1(request, new ServerResponse(request)), tunnel: () => socket });
      });
      server = h1;
    }
    line = await lineTo(server, version);
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  afterEach(() => {
    if (faults.length > 0) throw new Error(JSON.stringify(faults));
  });

  async function hear(
    request: UpstreamRequest,
    far: Play,
    act?: (event: string, heard: Heard) => void,
  ): Promise<Heard> {
    play = far;
    const heard = new Heard(act);
    await line.send(request, heard);
    await heard.last.promise;
    return heard;
  }

  test.each<[string, Play, readonly string[]]>([
    [
      'a response with a body',
      (far) => {
        far.respond(200, false);
        far.write('half');
        far.write('half');
        far.end();
      },
      ['reached', 'response 200', 'data', 'end'],
    ],
    [
      'interim responses come before it',
      (far) => {
        far.inform({ 'x-n': '1' });
        far.inform({ 'x-n': '2' });
        far.respond(200, false);
        far.write('x');
        far.end();
      },
      ['reached', 'inform 103', 'inform 103', 'response 200', 'data', 'end'],
    ],
    ['no body: said with the fields', (far) => far.respond(204, true), ['reached', 'response 204 ended', 'end']],
    [
      'trailers come with the end',
      (far) => {
        far.respond(200, false, { 'x-sum': 'abc' });
        far.write('x');
        far.end();
      },
      ['reached', 'response 200', 'data', 'end x-sum=abc'],
    ],
    ['broken off before it', (far) => far.breakOff(), ['reached', 'error of the stream']],
    [
      'broken off in the middle: no end, and nothing after the error',
      (far) => {
        far.respond(200, false);
        far.write('half');
        setTimeout(far.breakOff, 50); // for the half to arrive
      },
      ['reached', 'response 200', 'data', 'error of the stream'],
    ],
  ])('%s', async (_name, far, expected) => {
    expect((await hear(GET, far)).log).toEqual(expected);
  });

  test('a request body and its trailers arrive whole, and the response comes after', async () => {
    const got = Promise.withResolvers<{ body: string; trailers: string[] }>();
    const heard = await hear(
      POST,
      (far) =>
        void far.whole.then((whole) => {
          got.resolve(whole);
          far.respond(200, true);
        }),
      (event, { upstream }) => {
        if (event !== 'reached') return;
        upstream?.write(Buffer.from('one '));
        upstream?.write(Buffer.from('two'));
        upstream?.end(['x-sum', 'abc']);
      },
    );
    expect(await got.promise).toEqual({ body: 'one two', trailers: ['x-sum', 'abc'] });
    expect(heard.log.slice(0, 2)).toEqual(['reached', `response 200${version === 'h2' ? ' ended' : ''}`]);
    expect(heard.log.at(-1)).toBe('end');
  });

  test('an early response comes while the body still goes out', async () => {
    const heard = await hear(
      POST,
      (far) => far.respond(413, true),
      (event, { upstream }) => {
        if (event === 'reached') upstream?.write(Buffer.from('part'));
      },
    );
    expect(heard.log[1]).toMatch(/^response 413/);
    expect(heard.log.at(-1)).toBe('end');
  });

  test('write says when to stop, and onDrain when to go on', async () => {
    let full = false;
    const resume = Promise.withResolvers<void>();
    const heard = await hear(
      POST,
      (far) => void far.whole.then(() => far.respond(200, true)),
      (event, { upstream, drained }) => {
        if (event !== 'reached') return;
        for (let i = 0; i < 1_000 && !full; i++) full = upstream?.write(Buffer.alloc(100_000)) === false;
        void drained.promise.then(() => {
          upstream?.end([]);
          resume.resolve();
        });
      },
    );
    await resume.promise;
    expect(full).toBe(true);
    expect(heard.log.at(-1)).toBe('end');
  });

  test('a paused response waits, and comes whole once it is resumed', async () => {
    let pausedAt = 0;
    const heard = await hear(
      GET,
      (far) => {
        far.respond(200, false);
        far.write('a'.repeat(2_000_000));
        far.end();
      },
      (event, self) => {
        if (event !== 'data' || pausedAt > 0) return;
        pausedAt = self.data.length;
        self.upstream?.pause();
        setTimeout(() => {
          // What was under way in one read may still come.
          expect(self.data.length).toBeLessThan(1_000_000);
          self.upstream?.resume();
        }, 50);
      },
    );
    expect(heard.data.length).toBe(2_000_000);
    expect(heard.log.at(-1)).toBe('end');
  });

  test('an abort reaches the origin, and nothing is heard after it', async () => {
    const broken = Promise.withResolvers<void>();
    play = (far) => {
      far.respond(200, false);
      far.write('x');
      void far.brokenOff.then(broken.resolve);
    };
    const heard = new Heard((event, { upstream }) => {
      if (event === 'data') upstream?.abort();
    });
    await line.send(GET, heard);
    await broken.promise;
    await new Promise(setImmediate);
    expect(heard.log).toEqual(['reached', 'response 200', 'data']);
  });

  test('a tunnel takes the place of the response, and carries bytes both ways', async () => {
    const heard = await hear({ ...GET, tunnel: 'websocket' }, (far) => {
      const stream = far.tunnel();
      stream.on('error', () => {}).pipe(stream);
    });
    expect(heard.log).toEqual(['reached', 'tunnel']);
    heard.tunnelled?.write('echo');
    const bytes = await new Promise<Buffer>((resolve) => heard.tunnelled?.once('data', resolve).resume());
    expect(bytes.toString()).toBe('echo');
  });
});
