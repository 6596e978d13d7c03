/** Which sockets are let in: as many as the limits allow, together and from one address. While the daemon drains nobody listens. */
import type { Socket } from 'node:net';
import { MtlsdError } from '../../core/errors.ts';

export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #sockets = new Set<Socket>();
  readonly #perAddress = new Map<string, number>();
  #draining = false;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#sockets.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Counts a socket until it closes. @returns why it is not let in */
  admit(socket: Socket): MtlsdError | null {
    const address = socket.remoteAddress ?? '';
    const count = this.#perAddress.get(address) ?? 0;
    const error = this.#overload(count);
    if (error) return error;
    this.#sockets.add(socket);
    this.#perAddress.set(address, count + 1);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    });
    return null;
  }

  #overload(fromAddress: number): MtlsdError | null {
    const { connections, connectionsPerAddress } = this.#limits;
    const open = this.#sockets.size;
    if (open >= connections)
      return new MtlsdError('OVERLOADED', `${open} connections are open, as many as limits.connections allows`);
    if (fromAddress < connectionsPerAddress) return null;
    return new MtlsdError(
      'OVERLOADED',
      `${fromAddress} connections from this address are open, as many as limits.connections_per_address allows`,
      { hint: 'raise limits.connections_per_address in mtlsd.yaml, or close idle connections' },
    );
  }

  close(): void {
    this.#draining = true;
  }

  /** Waits until the last one has closed; those that are open when the time is up are destroyed. */
  async drained(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      const look = (): void => {
        if (this.#sockets.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      for (const socket of this.#sockets) socket.once('close', look);
      look();
    });
    for (const socket of this.#sockets) socket.destroy();
  }
}
