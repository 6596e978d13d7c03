/** A TCP relay that can keep what the server says to itself, so that handshakes stop half-way. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface HeldRelay {
  readonly port: number;
  hold(): void;
  /** Passes on what was held, and everything from now on. */
  release(): void;
  /** Connections on which the server has said something that is held. */
  readonly holding: () => number;
  close(): Promise<void>;
}

export async function heldRelay(target: number): Promise<HeldRelay> {
  const sockets = new Set<Socket>();
  const held = new Map<Socket, Buffer[]>();
  let holds = false;
  const server = createServer((client) => {
    const origin = connect(target, '127.0.0.1');
    for (const socket of [client, origin]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(origin);
    origin.on('data', (bytes: Buffer) => {
      if (holds) held.set(client, [...(held.get(client) ?? []), bytes]);
      else client.write(bytes);
    });
    origin.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hold: () => {
      holds = true;
    },
    release: () => {
      holds = false;
      for (const [client, pieces] of held) for (const bytes of pieces) client.write(bytes);
      held.clear();
    },
    holding: () => held.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
