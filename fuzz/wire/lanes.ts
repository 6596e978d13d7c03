/** Client connections that inputs are sent on, one at a time each, kept for the next input while both sides agree. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Line {
  readonly socket: Duplex;
  /** The TCP socket below. */
  readonly raw: Socket;
}

export class Lanes<L extends Line> {
  readonly #open: () => Promise<L>;
  readonly #free: L[] = [];
  readonly #all = new Set<L>();

  constructor(open: () => Promise<L>) {
    this.#open = open;
  }

  /** Lends a connection for the work, and closes it where the work failed. */
  async use<T>(work: (line: L) => Promise<T>): Promise<T> {
    const line = this.#take() ?? (await this.#connect());
    try {
      return await work(line);
    } catch (error) {
      line.raw.destroy();
      throw error;
    } finally {
      if (!line.socket.destroyed && line.socket.writable && !line.raw.destroyed) this.#free.push(line);
    }
  }

  /** Opens and fails as a peer does that is cut off: no verdict of ours. */
  async tryUse(work: (line: L) => Promise<void>): Promise<void> {
    await this.use(work).catch((error: unknown) => {
      if (!isLoss(error)) throw error;
    });
  }

  /** The daemon sees it a moment later: Arena.settle waits for that. */
  close(): void {
    this.#free.length = 0;
    for (const { socket, raw } of this.#all) {
      socket.destroy();
      raw.destroy();
    }
  }

  #take(): L | null {
    for (let line = this.#free.pop(); line; line = this.#free.pop()) if (!line.socket.destroyed) return line;
    return null;
  }

  async #connect(): Promise<L> {
    const line = await this.#open();
    this.#all.add(line);
    line.socket.once('close', () => {
      // A TLS socket that ends leaves the one below open, now and then.
      line.raw.destroy();
      this.#all.delete(line);
    });
    return line;
  }
}

export const isLoss = (error: unknown): boolean =>
  ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '');
