/** The chain that a server showed, read from a live socket once and kept with its connection. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** A hostile server could send hundreds; reading one costs. */
const LONGEST_CHAIN = 32;

/**
 * What the server sent, in its order, strangers too; without the anchor where the server did not send it. Empty where the
 * connection shows none, as a resumed session does. To be called once: Node takes the certificates off the connection as
 * it reads them, so that a second call finds nothing.
 *
 * getPeerCertificate(true) is not used, nor is toLegacyObject anywhere: on a certificate whose EC key lies on a curve that
 * NIST gives no name (secp256k1, brainpoolP256r1) they end the process with SIGSEGV, and a server may send what it likes
 * (docs/decisions/0002-reading-chains.md).
 */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next && chain.length < LONGEST_CHAIN) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

/**
 * Keeps Node itself from making that object of a chain that OpenSSL has accepted: it does so before it calls
 * `checkServerIdentity` (lib/_tls_wrap.js, onConnectSecure), whatever that is. For sockets whose name is checked by others.
 */
export function withoutPeerObject<S extends TLSSocket>(socket: S): S {
  socket.getPeerCertificate = () => ({}) as never;
  return socket;
}

/**
 * OpenSSL's verdict while the handshake still runs, as `authorizationError` will say it: null where it accepts the chain.
 * Node keeps it to itself until the end (24.21), which a TLS 1.2 server that demands a client certificate never lets come;
 * a Node that no longer has the method reads as a refusal.
 */
export function earlyVerifyError(socket: TLSSocket): string | null {
  const { _handle: handle } = socket as unknown as {
    _handle?: { verifyError?: () => (Error & { code?: string }) | null | undefined };
  };
  if (typeof handle?.verifyError !== 'function') return 'UNSPECIFIED';
  const error = handle.verifyError();
  return error ? (error.code ?? 'UNSPECIFIED') : null;
}
