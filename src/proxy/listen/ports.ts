/** Listening: on an address, on the path of a UNIX socket, or on a socket that the service manager has opened. */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { authorityOf, isLoopback } from '../../core/authority.ts';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { clearSocketPath } from '../../core/unix-socket.ts';

export type ListenPlace =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }
  /** @see sd_listen_fds(3); `loopbackOnly` refuses an address that other machines reach */
  | { readonly fd: number; readonly loopbackOnly: boolean };

/** The most that Linux queues by default (net.core.somaxconn). */
const BACKLOG = 4096;

/**
 * @param anyPort whether a port that is taken is replaced by any free one
 * @throws MtlsdError BAD_CONFIGURATION
 */
export async function listenOn(place: ListenPlace, admit: (socket: Socket) => void, anyPort = false): Promise<Server> {
  if ('path' in place) await clearSocketPath(place.path);
  try {
    return await listen(place, admit);
  } catch (error) {
    const taken = nativeCode(error) === 'EADDRINUSE';
    if (taken && anyPort && 'host' in place) return listenOn({ ...place, port: 0 }, admit);
    if (error instanceof MtlsdError) throw error;
    throw new MtlsdError(
      'BAD_CONFIGURATION',
      `can't listen on ${placeText(place)}: ${nativeCode(error) ?? String(error)}`,
      {
        ...(taken && {
          hint: 'another program has that port, perhaps another mtlsd; choose one with --listen ADDR:PORT, or take any with --port auto',
        }),
        cause: error,
      },
    );
  }
}

function listen(place: ListenPlace, admit: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Half-open: a tunnel passes on each side's end by itself (relay.ts).
    const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, admit);
    server.once('error', reject);
    server.once('listening', () => {
      server.on('error', () => {}); // EMFILE and similar: the kernel keeps the clients that wait
      // Before the first connection is taken, which is another turn of the event loop.
      const refusal = 'fd' in place && place.loopbackOnly ? refuseOpen(server) : null;
      if (refusal === null) return resolve(server);
      server.close();
      reject(refusal);
    });
    // The umask makes a UNIX socket 0660 from its first moment; its group is the folder's where that is set-group-ID.
    const umask = 'path' in place ? process.umask(0o117) : null;
    server.listen(optionsOf(place));
    if (umask !== null) process.umask(umask);
  });
}

function optionsOf(place: ListenPlace): ListenOptions {
  if ('host' in place) return { host: place.host, port: place.port, ipv6Only: true, backlog: BACKLOG };
  return { ...('fd' in place ? { fd: place.fd } : { path: place.path }), backlog: BACKLOG };
}

function refuseOpen(server: Server): MtlsdError | null {
  const address = server.address();
  if (typeof address !== 'object' || address === null || isLoopback(address.address)) return null;
  return new MtlsdError(
    'BAD_CONFIGURATION',
    `the socket that was handed over listens on ${address.address}, which is reachable from other machines, which could then use your certificates`,
    { hint: 'let the socket unit listen on 127.0.0.1, or set auth.password in mtlsd.yaml' },
  );
}

function placeText(place: ListenPlace): string {
  if ('host' in place) return `${place.host}:${place.port}`;
  return 'path' in place ? `unix:${place.path}` : `the handed-over socket ${place.fd}`;
}

/** `127.0.0.1:8740`, or `unix:PATH`. */
export function boundAddress(server: Server): string {
  const bound = server.address();
  if (typeof bound === 'string') return `unix:${bound}`;
  // A UNIX socket that was handed over: Node (24.21) does not know its path.
  if (bound === null) return 'unix:inherited';
  return authorityOf(bound.address, bound.port).text;
}
