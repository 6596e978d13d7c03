/**
 * The one two-way copy, with half-close: each side's end is passed on and the other direction continues, as TCP has it
 * (RFC 9293 §3.6). pipe() does the backpressure; the trap in the obvious version is an error on one side, which must take
 * the other along, and a peer's reset, which is routine and no fault.
 */
import type { Duplex } from 'node:stream';
import { buffered } from '../runtime/buffers.ts';

export interface Relayed {
  /** Bytes from a to b, and from b to a. */
  readonly sent: number;
  readonly received: number;
}

/**
 * Copies until both directions are done or one side fails. Sides must be `allowHalfOpen`.
 * @param silenceMs ends it where no bytes flow for so long; 0 for never
 */
export function relay(a: Duplex, b: Duplex, silenceMs = 0): Promise<Relayed> {
  return new Promise((resolve) => {
    let sent = 0;
    let received = 0;
    let open = 2;
    const timer = silenceMs > 0 ? setTimeout(() => a.destroy(), silenceMs) : null;
    a.on('data', (chunk: Buffer) => {
      sent += chunk.byteLength;
      timer?.refresh();
      buffered(chunk.byteLength);
    });
    b.on('data', (chunk: Buffer) => {
      received += chunk.byteLength;
      timer?.refresh();
      buffered(chunk.byteLength);
    });
    a.pipe(b);
    b.pipe(a);
    for (const [side, other] of [
      [a, b],
      [b, a],
    ] as const) {
      side.on('error', () => other.destroy());
      const onClose = (): void => {
        open -= 1;
        // Closed with its end not passed on: what the other side still waits for won't come.
        if (!side.readableEnded) other.destroy();
        if (open > 0) return;
        if (timer) clearTimeout(timer);
        resolve({ sent, received });
      };
      if (side.closed) queueMicrotask(onClose);
      else side.once('close', onClose);
    }
  });
}
