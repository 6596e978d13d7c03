/**
 * Says a last thing on a connection and lets go of it. What the client still sends is read and dropped: closed over unread
 * data, TCP sends a reset, and the client may lose the answer (RFC 9112 §9.6). For a moment only, since it may never end.
 */
import type { Duplex } from 'node:stream';

/** Longer than a round trip, shorter than anything worth holding a connection for. */
const LINGER_MS = 2_000;

export function endWith(socket: Duplex, last?: Uint8Array): void {
  socket.on('error', () => {});
  socket.end(last);
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
