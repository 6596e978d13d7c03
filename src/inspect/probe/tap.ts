/** Passes the bytes of a socket through, and keeps the first of both directions. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A handshake with many CA names takes 30 KiB; later bytes are not needed. */
const MOST_KEPT = 256 * 1024;

export class Tap extends Duplex {
  readonly #socket: Socket;
  readonly #received: Buffer[] = [];
  readonly #sent: Buffer[] = [];
  #receivedBytes = 0;
  #sentBytes = 0;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (this.#receivedBytes < MOST_KEPT) this.#received.push(chunk);
      this.#receivedBytes += chunk.length;
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }
  get sent(): Buffer {
    return Buffer.concat(this.#sent);
  }

  override _read(): void {
    this.#socket.resume();
  }
  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (this.#sentBytes < MOST_KEPT) this.#sent.push(chunk);
    this.#sentBytes += chunk.length;
    this.#socket.write(chunk, callback);
  }
  override _final(callback: (error?: Error | null) => void): void {
    this.#socket.end(() => callback());
  }
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }
}
