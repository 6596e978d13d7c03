/**
 * Waits until a TLS 1.3 server has made up its mind about our certificate.
 *
 * In TLS 1.3 the client is done before the server has looked at the client's certificate; a refusal arrives on the first
 * read, when a request may be written already. So, before anything is written, wait for the first of a session ticket
 * (accepted: RFC 8446 §4.6.1, sent after the client's Finished was verified), data of the server's own (accepted: an
 * HTTP/2 server's SETTINGS), an error or an end (refused), or a cap, for servers that send no tickets.
 */
import type { TLSSocket } from 'node:tls';

export type Settled =
  | { readonly outcome: 'accepted' | 'cap' }
  /** `error` is null where the server just closed, as Node servers do. */
  | { readonly outcome: 'refused'; readonly error: Error | null };

export function settle(socket: TLSSocket, capMs: number): Promise<Settled> {
  return new Promise((resolve) => {
    const onSession = (): void => finish({ outcome: 'accepted' });
    const onReadable = (): void => {
      // Data stays in the buffer for HTTP; reading an empty buffer is what makes a pending 'end' come out.
      if (socket.readableLength > 0) finish({ outcome: 'accepted' });
      else socket.read();
    };
    const onError = (error: Error): void => finish({ outcome: 'refused', error });
    const onEnd = (): void => finish({ outcome: 'refused', error: null });
    const timer = setTimeout(() => finish({ outcome: 'cap' }), capMs);
    socket.once('session', onSession).on('readable', onReadable);
    socket.once('error', onError).once('end', onEnd).once('close', onEnd);

    function finish(settled: Settled): void {
      clearTimeout(timer);
      socket.off('session', onSession).off('readable', onReadable);
      socket.off('error', onError).off('end', onEnd).off('close', onEnd);
      // Taking off the 'readable' listener takes effect a tick later; undici's, put on before that, would never be called.
      setImmediate(resolve, settled);
    }
  });
}
