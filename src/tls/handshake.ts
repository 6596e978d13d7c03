/**
 * The one way to make a TLS connection to a server, for requests, probes and connections to an upstream proxy. The caller
 * judges what the handshake shows.
 */
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { withoutPeerObject } from './peer-chain.ts';

export interface HandshakeOptions {
  /** A connected socket, or a stream in place of one. */
  readonly transport: Duplex;
  readonly secureContext: SecureContext;
  /** Sent as SNI unless it is an address, which is no server name (RFC 6066 §3). */
  readonly serverName: string;
  /** In order of preference; none for no ALPN. */
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  /** Ends the handshake early. */
  readonly signal?: AbortSignal;
  readonly onKeylog?: ((line: Buffer, socket: TLSSocket) => void) | null;
  /** Called as the server's flight is read, when a handshake that fails still knows what it saw. */
  readonly onSeen?: (socket: TLSSocket) => void;
  /** Asks the server for an OCSP staple (RFC 6066 §8). */
  readonly askStaple?: boolean;
  /**
   * Asked while the server's certificate can be read and ours has not left; false ends the handshake there. It makes the
   * client ask for an OCSP staple, since Node's 'OCSPResponse' is the one event at that moment (24.21, TLS 1.2 and 1.3).
   */
  readonly mayPresent?: (socket: TLSSocket, staple: Buffer | null) => boolean;
}

/** `closed`: without a word. `stopped`: by `mayPresent`, or by the signal. An Error is OpenSSL's or the socket's own. */
export type HandshakeFailure = 'timeout' | 'closed' | 'stopped' | Error;

export interface Handshake {
  readonly socket: TLSSocket;
  /** null where the handshake came to its end; the socket is destroyed where it did not. */
  readonly failure: HandshakeFailure | null;
  /** As the server sent it, not verified; null where none came. */
  readonly staple: Buffer | null;
}

/**
 * How long a server may stay silent on our certificate until it is presumed to have accepted: two round trips, and time to check
 * a chain. In TLS 1.3 a refusal comes after the handshake (RFC 8446 §4.4.2.4).
 */
export const settleCapMs = (roundTripMs: number): number => Math.min(1000, Math.max(100, 2 * roundTripMs + 50));

export function handshake(options: HandshakeOptions): Promise<Handshake> {
  const { transport, secureContext, serverName, alpn, onKeylog, onSeen, mayPresent, signal } = options;
  const askStaple = options.askStaple === true || mayPresent !== undefined;
  const socket = withoutPeerObject(
    connect({
      socket: transport,
      secureContext,
      servername: isIP(serverName) === 0 ? serverName : '',
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      // Node would check the wrong name and stop at the first problem; callers judge the whole chain.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(askStaple && { requestOCSP: true }),
    }),
  );
  return new Promise((resolve) => {
    let over = false;
    let staple: Buffer | null = null;
    const timer = setTimeout(() => finish('timeout'), options.timeoutMs);
    const onSecure = (): void => finish(null);
    const onError = (error: Error): void => finish(error);
    const onClose = (): void => finish('closed');
    const onAbort = (): void => finish('stopped');
    const inside =
      <A extends unknown[]>(callback: (...args: A) => void) =>
      (...args: A): void => {
        try {
          callback(...args);
        } catch (error) {
          finish(error as Error);
        }
      };
    socket.once('secureConnect', onSecure).once('error', onError).once('close', onClose);
    signal?.addEventListener('abort', onAbort);
    if (onKeylog)
      socket.on(
        'keylog',
        inside((line: Buffer) => onKeylog(line, socket)),
      );
    // TLS 1.2 says this once the server's flight is read; a server that hangs up after it takes all that is known along.
    if (onSeen)
      socket.once(
        'keylog',
        inside(() => onSeen(socket)),
      );
    if (askStaple)
      socket.once(
        'OCSPResponse',
        inside((response: Buffer | null) => {
          staple = response;
          if (mayPresent?.(socket, staple) === false) finish('stopped');
        }),
      );
    if (signal?.aborted) finish('stopped');

    function finish(failure: HandshakeFailure | null): void {
      if (over) return;
      over = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
      // Whatever comes between here and the next listener must not end the process.
      socket.on('error', () => {});
      if (failure !== null) {
        try {
          onSeen?.(socket);
        } catch {
          // the handshake failed already, and says why
        }
        socket.destroy();
      }
      resolve({ socket, failure, staple });
    }
  });
}
