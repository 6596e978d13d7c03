/** HTTP/1.1 through a tunnel of the daemon, with Node's own client. */
import { Agent, request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** Sockets through the daemon: one for all requests, or one a request. */
export class TunnelAgent extends Agent {
  readonly #open: () => Promise<TLSSocket>;
  constructor(open: () => Promise<TLSSocket>, keepAlive: boolean) {
    super({ keepAlive, maxSockets: 1 });
    this.#open = open;
  }
  override createConnection(_options: object, callback: (error: Error | null, socket: Duplex) => void): undefined {
    this.#open().then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null as never),
    );
  }
}

export function answerTo(agent: Agent, authority: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ agent, path: '/', headers: { host: authority } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
