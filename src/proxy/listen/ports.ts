/** Ports that are listened on. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { authorityOf } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';

/** @throws MtlsdError BAD_CONFIGURATION */
export function listenOn(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Half-open: a tunnel passes on each side's end by itself (relay.ts).
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, onSocket);
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint =
        error.code === 'EADDRINUSE'
          ? 'another program has that port, perhaps another mtlsd; choose one with --listen ADDR:PORT'
          : undefined;
      reject(
        new MtlsdError('BAD_CONFIGURATION', `can't listen on ${host}:${port}: ${error.code ?? error.message}`, {
          ...(hint && { hint }),
          cause: error,
        }),
      );
    });
    server.listen({ host, port, ipv6Only: true, backlog: 4096 }, () => {
      server.on('error', () => {}); // EMFILE and the like: the kernel keeps who waits
      resolve(server);
    });
  });
}

/** `127.0.0.1:8740`, as bound. */
export function boundAddress(server: Server): string {
  const { address, port } = server.address() as AddressInfo;
  return authorityOf(address, port).text;
}
