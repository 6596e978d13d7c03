/** A TCP relay that takes its time in both directions, as a long path does, and counts round trips. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface DelayRelay {
  readonly port: number;
  /** Flights of the client that the server answered, since the last call: what latency is paid for. */
  readonly roundTrips: () => number;
  close(): Promise<void>;
}

/** @param delayMs each way */
export async function delayRelay(target: number, delayMs: number): Promise<DelayRelay> {
  const sockets = new Set<Socket>();
  let last: 'client' | 'server' = 'server';
  let count = 0;
  const server = createServer((client) => {
    const origin = connect(target, '127.0.0.1');
    carry(client, origin, delayMs, () => {
      last = 'client';
    });
    carry(origin, client, delayMs, () => {
      if (last === 'client') count += 1;
      last = 'server';
    });
    for (const socket of [client, origin]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    roundTrips: () => {
      const counted = count;
      count = 0;
      return counted;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Timers of one length fire in the order in which they were set, so that bytes stay in order. */
function carry(from: Socket, to: Socket, delayMs: number, onFlight: () => void): void {
  from.on('data', (chunk: Buffer) => {
    onFlight();
    setTimeout(() => to.write(chunk), delayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), delayMs));
}
