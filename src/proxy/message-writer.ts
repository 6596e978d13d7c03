/**
 * Writes HTTP/1.1 messages to a socket, one after another: what comes within one turn of the event loop goes out in one write
 * at its end, and a body has exactly the length that its head announced.
 */
import type { Duplex } from 'node:stream';
import type { Boundary } from '../core/boundary.ts';
import { chunkHead, lastChunk } from '../http1/write.ts';
import type { Framing } from '../http1/framing.ts';
import { atTurnEnd } from '../runtime/turn.ts';

/** Pieces up to this size are copied into one buffer; a TLS record holds as much (RFC 8446 §5.1). */
const GATHERED_BYTES = 16 * 1024;

const CRLF = '\r\n';
const NONE: Framing = { kind: 'none' };

export class MessageWriter {
  readonly #socket: Duplex;
  readonly #kind: 'request' | 'response';
  readonly #inside: Boundary;
  #pieces: (string | Buffer)[] = [];
  #gathered = 0;
  #framing: Framing = NONE;
  #left = 0;
  #scheduled = false;

  constructor(socket: Duplex, kind: 'request' | 'response', inside: Boundary) {
    this.#socket = socket;
    this.#kind = kind;
    this.#inside = inside;
  }

  /** @param head latin1, with its empty line */
  begin(head: string, framing: Framing): void {
    this.#framing = framing;
    this.#left = framing.kind === 'length' ? framing.length : 0;
    this.#put(head);
  }

  /** A message that ends with its head, such as a 100. */
  interim(head: string): void {
    this.#put(head);
  }

  /**
   * @returns false where the socket is full: wait for its 'drain'
   * @throws RangeError where the body is longer than its head says
   */
  write(chunk: Buffer): boolean {
    const { kind } = this.#framing;
    if (kind === 'none' || chunk.byteLength === 0) return true;
    if (kind === 'chunked') {
      this.#put(chunkHead(chunk.byteLength));
      this.#put(chunk);
      return this.#put(CRLF);
    }
    if (kind === 'length') {
      if (chunk.byteLength > this.#left) throw new RangeError('the body is longer than its Content-Length');
      this.#left -= chunk.byteLength;
    }
    return this.#put(chunk);
  }

  /**
   * @param trailers flat; only a chunked message can carry them
   * @throws RangeError where the body is shorter than its head says
   */
  end(trailers: readonly string[]): void {
    if (this.#left > 0) throw new RangeError('the body is shorter than its Content-Length');
    if (this.#framing.kind === 'chunked') this.#put(lastChunk(trailers));
    this.#framing = NONE;
  }

  #put(piece: string | Buffer): boolean {
    const size = piece.length; // of latin1 text as of bytes
    if (this.#pieces.length === 0 && size >= GATHERED_BYTES && typeof piece !== 'string')
      return this.#socket.write(piece);
    this.#pieces.push(piece);
    this.#gathered += size;
    if (this.#gathered >= GATHERED_BYTES) return this.flush();
    if (!this.#scheduled) {
      this.#scheduled = true;
      atTurnEnd(this, this.#kind);
    }
    return !this.#socket.writableNeedDrain;
  }

  onTurnEnd(): void {
    this.#scheduled = false;
    try {
      this.flush();
    } catch (error) {
      this.#inside.fault(error);
    }
  }

  /** Writes out what is gathered. */
  flush(): boolean {
    const pieces = this.#pieces;
    const [first] = pieces;
    if (first === undefined || this.#socket.destroyed) {
      this.#pieces = [];
      this.#gathered = 0;
      return true;
    }
    const size = this.#gathered;
    this.#pieces = [];
    this.#gathered = 0;
    if (pieces.length === 1) return this.#socket.write(first, 'latin1');
    if (size <= 2 * GATHERED_BYTES) return this.#socket.write(join(pieces, size));
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece, 'latin1');
    this.#socket.uncork();
    return !this.#socket.writableNeedDrain;
  }
}

function join(pieces: readonly (string | Buffer)[], size: number): Buffer {
  const whole = Buffer.allocUnsafe(size);
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') whole.write(piece, at, 'latin1');
    else whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
