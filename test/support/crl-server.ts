/** A server of CRLs that a test tells what to answer. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface CrlServer {
  /** `http://127.0.0.1:PORT/root.crl`; what it serves does not depend on the path. */
  readonly url: string;
  readonly port: number;
  /** The targets of the requests, as they came. */
  readonly asked: string[];
  serve(how: string | Buffer | ((response: ServerResponse, request: IncomingMessage) => void)): void;
  close(): void;
}

export async function startCrlServer(): Promise<CrlServer> {
  const asked: string[] = [];
  let answer = (response: ServerResponse, _request: IncomingMessage): void => void response.writeHead(404).end();
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/root.crl`,
    port,
    asked,
    serve(how) {
      answer = typeof how === 'function' ? how : (response) => void response.end(how);
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
