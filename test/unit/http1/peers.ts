/** The HTTP/1.1 parsers that come with Node and undici, to compare with: what they read of the bytes of one connection. */
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Duplex } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import { latin1 } from './feed.ts';

export interface PeerOutcome {
  /** Those that were read to their end. */
  messages: { line: string; fields: string[]; body: string; trailers: string[] }[];
  /** Why the rest was not read. */
  refused: string | null;
}

/** node:http's server, as strict as it is by default. */
export async function readRequestsWithNode(text: string): Promise<PeerOutcome> {
  const outcome: PeerOutcome = { messages: [], refused: null };
  const server = createHttpServer({ requireHostHeader: false, maxHeaderSize: 64 * 1024, insecureHTTPParser: false });
  const connection = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const requests: IncomingMessage[] = [];
  server.on('request', (request, response) => {
    requests.push(request);
    let body = '';
    request.setEncoding('latin1').on('data', (data: string) => {
      body += data;
    });
    request.on('end', () => {
      const line = `${request.method} ${request.url} ${request.httpVersion}`;
      outcome.messages.push({ line, fields: request.rawHeaders, body, trailers: request.rawTrailers });
    });
    response.end();
  });
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  server.on('clientError', (error: NodeJS.ErrnoException) => {
    outcome.refused = error.code ?? error.message;
    void leave(connection, requests);
  });
  server.on('connect', (_request, socket) => {
    outcome.refused = 'CONNECT';
    socket.destroy();
  });
  const closed = once(connection, 'close');
  server.emit('connection', connection);
  connection.push(latin1(text));
  connection.push(null);
  await closed;
  return outcome;
}

async function leave(connection: Duplex, requests: readonly IncomingMessage[]): Promise<void> {
  // Those that were read whole have their events yet to come.
  const read = requests.filter(({ complete, readableEnded }) => complete && !readableEnded);
  await Promise.all(read.map((request) => once(request, 'end')));
  connection.destroy();
}

/** undici's client: what it reads as the response to one request. 1xx responses come before the final one. */
export class UndiciReader {
  readonly #server: Server;
  #text = '';

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(latin1(this.#text)));
    });
  }

  static async start(): Promise<UndiciReader> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new UndiciReader(server);
  }

  stop(): void {
    this.#server.close();
  }

  async read(method: Dispatcher.HttpMethod, text: string): Promise<PeerOutcome> {
    this.#text = text;
    const outcome: PeerOutcome = { messages: [], refused: null };
    const client = new Client(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
    let final: PeerOutcome['messages'][number] | undefined;
    await new Promise<void>((resolve) => {
      client.dispatch(
        { method, path: '/' },
        {
          onRequestStart() {},
          onResponseStart({ rawHeaders }, status, _headers, reason) {
            const message = { line: `${status} ${reason ?? ''}`, fields: flat(rawHeaders), body: '', trailers: [] };
            if (status < 200) outcome.messages.push(message);
            else final = message;
          },
          onResponseData(_controller, data) {
            if (final) final.body += data.toString('latin1');
          },
          onResponseEnd({ rawTrailers }) {
            if (final) outcome.messages.push({ ...final, trailers: flat(rawTrailers) });
            resolve();
          },
          onResponseError(_controller, error) {
            outcome.refused = error.message;
            resolve();
          },
        },
      );
    });
    await client.destroy();
    return outcome;
  }
}

/** undici leaves the whitespace after a value where it is. */
function flat(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const parts = Array.isArray(raw) ? raw : [];
  return parts.map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : part).replace(/[\t ]+$/, ''));
}
