/** What a connection shows of itself, while its handshake runs and after it. */
import type { CipherNameAndProtocol, TLSSocket } from 'node:tls';

export interface Observed {
  /** null before the handshake, and after the server has closed the connection. */
  readonly protocol: string | null;
  /** OpenSSL's name. */
  readonly cipher: string | null;
  /** IANA's name. */
  readonly standardCipher: string | null;
  readonly alpn: string | null;
}

export function observed(socket: TLSSocket): Observed {
  // Undefined in a keylog event of TLS 1.2 with an RSA key (Node 24.21), where the types promise an object.
  const cipher = socket.getCipher() as CipherNameAndProtocol | undefined;
  return {
    protocol: socket.getProtocol(),
    cipher: cipher?.name ?? null,
    standardCipher: cipher?.standardName ?? null,
    alpn: socket.alpnProtocol || null,
  };
}

/** OpenSSL's verdict on the chain, once the handshake is over; null where it accepts it. */
export const verifyError = (socket: TLSSocket): string | null =>
  socket.authorized ? null : String(socket.authorizationError);
