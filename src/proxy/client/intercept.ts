/** TLS towards the client, with a leaf for CONNECT's host, and HTTP of whichever version was agreed on inside it. */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Authority } from '../../core/authority.ts';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { alertOf } from '../../inspect/verify/alerts.ts';

export interface InterceptOptions {
  /** The context may be closed after this turn of the event loop. */
  readonly contextFor: (host: string) => SecureContext;
  readonly handshakeTimeoutMs: number;
  readonly onKeylog: ((line: Buffer) => void) | null;
}

/**
 * The client's side of the handshake; resolves when it is done.
 * @throws MtlsdError CLIENT_TLS_FAILED; the socket is closed by then
 */
export function intercept(options: InterceptOptions, socket: Socket, authority: Authority): Promise<TLSSocket> {
  // The leaf is for CONNECT's host whatever SNI says: nothing that the client claims inside changes what this tunnel is.
  const secureContext = options.contextFor(authority.host);
  const tls = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['h2', 'http/1.1'] });
  tls.once('close', () => socket.destroy()); // a half-open one would outlive what it carried
  if (options.onKeylog) tls.on('keylog', options.onKeylog);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(null, 'did not finish its TLS handshake in time'), options.handshakeTimeoutMs);
    tls.once('secure', () => {
      clearTimeout(timer);
      tls.off('_tlsError', onError).off('error', onError).off('close', onClose);
      // What tls.Server does here (Node 24, _tls_wrap.js): else node:http2 waits for a 'secureConnect' that never comes, and
      // a later TLS error would not destroy the socket. Can go when TLSSocket does it by itself.
      (tls as TLSSocket & { _releaseControl(): boolean })._releaseControl();
      Object.assign(tls, { secureConnecting: false });
      tls.on('error', () => {}); // a client's reset is routine; the user of the socket sees its close
      resolve(tls);
    });
    const onError = (error: Error): void => fail(error, error.message);
    const onClose = (): void => fail(null, 'closed the connection during its TLS handshake');
    // Before a server-side TLSSocket is secure, its errors come as '_tlsError' only.
    tls.on('_tlsError', onError).on('error', onError).on('close', onClose);

    function fail(error: Error | null, said: string): void {
      clearTimeout(timer);
      tls.off('close', onClose);
      tls.on('error', () => {});
      tls.destroy();
      reject(clientTlsError(error, said, authority));
    }
  });
}

function clientTlsError(error: Error | null, said: string, authority: Authority): MtlsdError {
  const alert = error && alertOf(error);
  // unknown_ca, bad_certificate, certificate_unknown: the three that clients send for an untrusted issuer.
  if (alert && [42, 46, 48].includes(alert.number)) {
    return new MtlsdError(
      'CLIENT_TLS_FAILED',
      `the client does not trust the local CA (alert ${alert.number} ${alert.name}) for ${authority.text}`,
      {
        alert: { ...alert, meaning: 'the client does not trust the certificate that it was shown' },
        cause: error,
      },
    );
  }
  const code = nativeCode(error);
  return new MtlsdError(
    'CLIENT_TLS_FAILED',
    `the client's TLS handshake for ${authority.text} failed: ${code ? `${code} ` : ''}${said}`,
    {
      alert: alert && { ...alert, meaning: 'the client ended the handshake' },
      ...(error && { cause: error }),
      ...(error === null && { hint: 'a client that just closes often does not trust the local CA: mtlsd env' }),
    },
  );
}
