/** What client/stream.ts promises of a client stream, held for both versions of HTTP: the same calls show the client the same. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import http2, { constants } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { H1ClientConnection } from '../../../src/proxy/client/h1.ts';
import { H2ClientConnection } from '../../../src/proxy/client/h2.ts';
import type { ClientEvents, ClientStream } from '../../../src/proxy/client/stream.ts';

/** What a client sees of a response. */
interface Answer {
  /** `inform 103`, `response 200`, `end`, `broken`, in order; pieces of the body are one `data`. */
  readonly log: readonly string[];
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

interface Ask {
  readonly body?: readonly string[];
  readonly trailers?: Record<string, string>;
  /** Keeps the request's body open. */
  readonly unfinished?: boolean;
  /** Sends the body once it is told to (RFC 9110 §10.1.1). */
  readonly expects?: boolean;
  /** Leaves once the response has begun. */
  readonly leaves?: boolean;
}

/** Notes what the stream's client says. */
class Said implements ClientEvents {
  readonly log: string[] = [];
  body = '';
  readonly whole = Promise.withResolvers<void>();
  readonly gone = Promise.withResolvers<void>();
  readonly drained = Promise.withResolvers<void>();

  onBody(chunk: Buffer): void {
    this.body += chunk.toString('latin1');
    if (this.log.at(-1) !== 'body') this.log.push('body');
  }
  onBodyEnd(trailers: string[]): void {
    this.log.push(`body end${trailers.length > 0 ? ` ${trailers.join('=').toLowerCase()}` : ''}`);
    this.whole.resolve();
  }
  onClientDrain(): void {
    this.drained.resolve();
  }
  checkTime(): void {}
  onGone(): void {
    this.log.push('gone');
    this.gone.resolve();
  }
}

type Play = (stream: ClientStream, said: Said) => void;

let play: Play = () => {};
let said = new Said();
const faults: unknown[] = [];
const options = {
  headerBytes: 65_536,
  timeoutsMs: { request: 10_000, idle: 60_000 },
  reportFault: (fault: unknown) => void faults.push(fault),
  onClosed: () => {},
};

function serve(stream: ClientStream): void {
  said = new Said();
  stream.events = said;
  play(stream, said);
}

const h1Client = (port: number, { body, trailers, unfinished, expects, leaves }: Ask): Promise<Answer> =>
  new Promise((resolve) => {
    const log: string[] = [];
    const method = body || unfinished ? 'POST' : 'GET';
    const headers = {
      ...((body || unfinished) && { 'transfer-encoding': 'chunked' }),
      ...(expects && { expect: '100-continue' }),
    };
    let text = '';
    const outgoing = httpRequest(
      { port, host: '127.0.0.1', method, headers, agent: false },
      (response: IncomingMessage) => {
        log.push(`response ${response.statusCode}`);
        if (leaves) outgoing.destroy();
        let done = false;
        const finish = (what: string): void => {
          if (done) return;
          done = true;
          log.push(what);
          outgoing.destroy();
          resolve({ log, body: text, trailers: response.trailers });
        };
        response.setEncoding('latin1').on('data', (part: string) => {
          text += part;
          if (log.at(-1) !== 'data') log.push('data');
        });
        response.on('error', () => finish('broken')).on('end', () => finish('end'));
      },
    );
    outgoing.on('information', ({ statusCode }) => log.push(`inform ${statusCode}`));
    outgoing.on('error', () => {
      if (log.some((line) => line.startsWith('response'))) return;
      resolve({ log: [...log, 'broken'], body: '', trailers: {} });
    });
    const send = (): void => {
      for (const part of body ?? []) outgoing.write(part);
      if (trailers) outgoing.addTrailers(trailers);
      if (!unfinished) outgoing.end();
    };
    outgoing.on('continue', send);
    if (unfinished || expects) outgoing.flushHeaders();
    if (!expects) send();
  });

const h2Client = (port: number, { body, trailers, unfinished, expects, leaves }: Ask): Promise<Answer> =>
  new Promise((resolve) => {
    const log: string[] = [];
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    const stream = session.request(
      { ':method': body || unfinished ? 'POST' : 'GET', ...(expects && { expect: '100-continue' }) },
      { endStream: !body && !unfinished, waitForTrailers: trailers !== undefined },
    );
    let text = '';
    let received: Record<string, unknown> = {};
    stream.on('headers', (fields) => log.push(`inform ${fields[':status']}`));
    stream.on('response', (fields) => {
      log.push(`response ${fields[':status']}`);
      if (leaves) session.destroy();
    });
    stream.on('trailers', (fields) => {
      received = Object.fromEntries(Object.entries(fields)); // without Node's symbol
    });
    // The whole response is there: what is left of the request is not sent.
    if (unfinished) stream.on('end', () => stream.close());
    stream.setEncoding('latin1').on('data', (part: string) => {
      text += part;
      if (log.at(-1) !== 'data') log.push('data');
    });
    stream.on('error', () => {});
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
    stream.on('close', () => {
      log.push(stream.rstCode === constants.NGHTTP2_NO_ERROR && !leaves ? 'end' : 'broken');
      session.destroy();
      resolve({ log, body: text, trailers: received });
    });
    const send = (): void => {
      for (const part of body ?? []) stream.write(part);
      if (body) stream.end();
    };
    stream.on('continue', send);
    if (!expects) send();
  });

describe.each(['http/1.1', 'h2'] as const)('a client stream of %s', (version) => {
  let server: Server;
  let port: number;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      if (version === 'h2') new H2ClientConnection(socket as TLSSocket, { ...options, onRequest: serve });
      else
        new H1ClientConnection(socket, {
          ...options,
          endMeansGone: true,
          onConnect: null,
          refuse: (error) => Buffer.from(String(error)),
          onRequest: (_head, stream) => serve(stream),
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  afterEach(() => {
    if (faults.length > 0) throw new Error(JSON.stringify(faults));
  });

  function ask(what: Ask, answer: Play): Promise<Answer> {
    play = answer;
    return (version === 'h2' ? h2Client : h1Client)(port, what);
  }

  test.each<[string, Play, readonly string[]]>([
    [
      'a response with a body',
      (stream) => {
        stream.respond(200, 'OK', [], false, false);
        stream.write(Buffer.from('half'));
        stream.write(Buffer.from('half'));
        stream.end([]);
      },
      ['response 200', 'data', 'end'],
    ],
    [
      'interim responses come before it',
      (stream) => {
        stream.inform(103, ['Link', '</a>']);
        stream.inform(103, ['Link', '</b>']);
        stream.respond(200, 'OK', [], false, false);
        stream.write(Buffer.from('x'));
        stream.end([]);
      },
      ['inform 103', 'inform 103', 'response 200', 'data', 'end'],
    ],
    [
      'no body, said with the fields',
      (stream) => {
        stream.respond(204, 'No Content', [], true, false);
        stream.end([]);
      },
      ['response 204', 'end'],
    ],
    ['an abort before it', (stream) => stream.abort(), ['broken']],
    [
      'an abort in the middle shows as one, and not as an end',
      (stream) => {
        stream.respond(200, 'OK', [], false, false);
        stream.write(Buffer.from('half'));
        setTimeout(() => stream.abort(), 50); // for the half to arrive
      },
      ['response 200', 'data', 'broken'],
    ],
  ])('%s', async (_name, answer, expected) => {
    expect((await ask({}, answer)).log).toEqual(expected);
  });

  test('trailers of the response come with its end', async () => {
    const answer = await ask({}, (stream) => {
      stream.respond(200, 'OK', ['Trailer', 'X-Sum'], false, false);
      stream.write(Buffer.from('x'));
      stream.end(['X-Sum', 'abc']);
    });
    expect(answer.trailers).toEqual({ 'x-sum': 'abc' });
  });

  test('a body flows once it is asked for, and its trailers end it', async () => {
    let before: readonly string[] = [];
    const answer = await ask({ body: ['one ', 'two'], trailers: { 'x-sum': 'abc' } }, (stream, { log, whole }) => {
      setTimeout(() => {
        before = [...log];
        stream.readBody();
      }, 50);
      void whole.promise.then(() => {
        stream.respond(200, 'OK', [], true, false);
        stream.end([]);
      });
    });
    expect(before).toEqual([]);
    expect(said.log).toEqual(['body', 'body end x-sum=abc']);
    expect(said.body).toBe('one two');
    expect(answer.log.at(-1)).toBe('end');
  });

  test('a client that expects 100 (Continue) is told once its body is asked for', async () => {
    const answer = await ask({ body: ['body'], expects: true }, (stream, { whole }) => {
      stream.readBody();
      void whole.promise.then(() => {
        stream.respond(200, 'OK', [], true, false);
        stream.end([]);
      });
    });
    expect(answer.log).toEqual(['inform 100', 'response 200', 'end']);
    expect(said.body).toBe('body');
  });

  test('a body that is paused stops, and goes on when it is read again', async () => {
    const size = 3_000_000;
    await ask({ body: ['a'.repeat(size)] }, (stream, self) => {
      stream.readBody();
      const { onBody } = Object.getPrototypeOf(self) as ClientEvents;
      let paused = false;
      self.onBody = (chunk) => {
        onBody.call(self, chunk);
        if (paused) return;
        paused = true;
        stream.pauseBody();
        setTimeout(() => {
          expect(self.body.length).toBeLessThan(size / 2);
          stream.readBody();
        }, 50);
      };
      void self.whole.promise.then(() => {
        stream.respond(200, 'OK', [], true, false);
        stream.end([]);
      });
    });
    expect(said.body.length).toBe(size);
  });

  test('write says when to stop, and onClientDrain when to go on', async () => {
    let full = false;
    const answer = await ask({}, (stream, { drained }) => {
      stream.respond(200, 'OK', [], false, false);
      for (let i = 0; i < 1_000 && !full; i++) full = !stream.write(Buffer.alloc(100_000));
      void drained.promise.then(() => stream.end([]));
    });
    expect(full).toBe(true);
    expect(answer.log).toEqual(['response 200', 'data', 'end']);
  });

  test('an early response ends the exchange while the body is still going', async () => {
    const answer = await ask({ unfinished: true }, (stream) => {
      stream.readBody();
      stream.respond(413, 'Content Too Large', [], true, false);
      stream.end([]);
    });
    expect(answer.log).toEqual(['response 413', 'end']);
  });

  test('a client that leaves is gone, once, and nothing comes after it', async () => {
    await ask({ leaves: true }, (stream) => {
      stream.respond(200, 'OK', [], false, false);
      stream.write(Buffer.from('x'));
    });
    await said.gone.promise;
    await new Promise(setImmediate);
    expect(said.log).toEqual(['gone']);
  });

  test('a tunnel is a stream of bytes both ways', async () => {
    play = (stream) => {
      expect(stream.tunnel).toBe('websocket');
      const far = stream.acceptTunnel([], 'websocket');
      far.on('error', () => {}).pipe(far);
    };
    let near: Duplex;
    if (version === 'h2') {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      await new Promise((resolve) => session.once('remoteSettings', resolve));
      near = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' }, { endStream: false });
      await new Promise((resolve) => near.once('response', resolve));
      near.once('close', () => session.destroy());
    } else {
      near = connect(port, '127.0.0.1');
      near.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      const head = await new Promise<Buffer>((resolve) => near.once('data', resolve));
      expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
    }
    near.write('echo');
    expect(String(await new Promise((resolve) => near.once('data', resolve)))).toBe('echo');
    near.destroy();
  });
});
