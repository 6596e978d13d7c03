/** A forward proxy as companies have them: it requires credentials and takes CONNECT only. It resolves names itself. */
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

export interface CorporateProxy {
  readonly port: number;
  /** The targets of CONNECT with the right credentials, in order. */
  readonly targets: readonly string[];
  close(): Promise<void>;
}

/** @param routes `host:port` to a port of loopback; any other target is 403 */
export async function startCorporateProxy({
  credentials,
  routes,
}: {
  credentials: string;
  routes: Readonly<Record<string, number>>;
}): Promise<CorporateProxy> {
  const expected = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const targets: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer((_request, response) => response.writeHead(403).end());
  server.on('connect', ({ url = '', headers }: IncomingMessage, socket: Duplex) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (headers['proxy-authorization'] !== expected)
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
    targets.push(url);
    const port = routes[url];
    if (port === undefined) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const onward = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    sockets.add(onward);
    onward.on('error', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    targets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of sockets) socket.destroy();
      }),
  };
}
