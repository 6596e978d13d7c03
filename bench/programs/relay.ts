/**
 * An origin far away: relays TCP with a delay on each way, from several ports to one. `node relay.ts '{to, ports, delayMs}'`
 * The kernel answers the connect at once; so what a client sends waits as long as if the connect had taken its round trip.
 */
import { connect, createServer, type Socket } from 'node:net';

const { to, ports, delayMs } = JSON.parse(process.argv[2] ?? '') as { to: number; ports: number[]; delayMs: number };

for (const port of ports)
  createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const established = performance.now() + 2 * delayMs;
    const origin = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    delay(client, origin, () => Math.max(performance.now(), established));
    delay(origin, client, () => performance.now());
  }).listen(port, '127.0.0.1');

/** Timers of one length fire in their order, and those of the connect's wait before them. */
function delay(from: Socket, into: Socket, sent: () => number): void {
  const later = (act: () => void): void => {
    setTimeout(act, sent() + delayMs - performance.now());
  };
  from.on('data', (chunk) => later(() => into.write(chunk)));
  from.on('end', () => later(() => into.end()));
  from.on('error', () => into.destroy());
  from.on('close', () => later(() => into.destroySoon()));
}
