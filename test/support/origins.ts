/** Real TLS origins that report the client certificate that they saw. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** What the echo origin answers with. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  /** Flat, as received. */
  readonly fields: string[];
  readonly protocol: string;
  readonly resumed: boolean;
  readonly servername: string | false;
  /** The client certificate's common name; null where none came. */
  readonly client: string | null;
  readonly fingerprint256: string | null;
}

export interface Origin {
  readonly port: number;
  /** `https://localhost:PORT` */
  readonly url: string;
  /** Requests that reached it. */
  readonly seen: readonly Seen[];
  /** TLS connections that came about. */
  readonly connections: () => number;
  readonly server: Server;
  close(): Promise<void>;
}

export async function nodeOrigin(
  options: ServerOptions,
  handler?: (request: IncomingMessage, response: ServerResponse, seen: Seen) => void,
  host = '127.0.0.1',
): Promise<Origin> {
  const seen: Seen[] = [];
  let connections = 0;
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket;
    // getPeerCertificate would end this process on a secp256k1 key (Node 24.21).
    const peer = socket.getPeerX509Certificate();
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      fields: request.rawHeaders,
      protocol: socket.getProtocol() ?? '',
      resumed: socket.isSessionReused(),
      servername: (socket as TLSSocket & { servername: string | false }).servername,
      client: /^CN=(.*)$/m.exec(peer?.subject ?? '')?.[1] ?? null,
      fingerprint256: peer?.fingerprint256 ?? null,
    };
    seen.push(one);
    if (handler) return handler(request, response, one);
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(one));
  });
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `https://localhost:${port}`,
    seen,
    connections: () => connections,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export interface ProcessOrigin {
  readonly port: number;
  readonly url: string;
  readonly output: () => string;
  readonly process: ChildProcess;
  close(): Promise<void>;
}

/** `openssl s_server`; -www answers each request with the handshake's facts, the client certificate among them. */
export async function opensslOrigin(args: readonly string[]): Promise<ProcessOrigin> {
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  const port = await new Promise<number>((resolve, reject) => {
    const read = (text: string): void => {
      output += text;
      // "ACCEPT 127.0.0.1:40001": the port really bound.
      const bound = /ACCEPT \S*:(\d+)/.exec(output)?.[1];
      if (bound) resolve(Number(bound));
    };
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('close', () => reject(new Error(`openssl s_server ended: ${output}`)));
  });
  return {
    port,
    url: `https://localhost:${port}`,
    output: () => output,
    process: child,
    close: () =>
      new Promise((resolve) => {
        child.on('close', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}
