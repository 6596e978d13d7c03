/** The chain that a server showed, read from a live socket once and kept with its connection. */
import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** Node links certificates by issuer; a hostile server could send hundreds. */
const LONGEST_CHAIN = 32;

/**
 * Leaf first. Empty where the connection shows none, as a resumed session does.
 *
 * Node (24.21) puts what the server sent into issuer order, drops what is not linked to the leaf or not by an issuer that
 * may sign, and goes on with issuers from the context's own anchors. So a certificate in the list that is no anchor was
 * sent; whether an anchor at its end was sent too can't be told here (`probe` reads it from the handshake).
 *
 * getPeerX509Certificate is not used: on a client socket it works once and spoils later calls.
 */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  // A self-signed certificate is its own issuer in Node's list, and cross-signed ones can form a ring.
  while (next?.raw && !seen.has(next.fingerprint256 ?? '') && chain.length < LONGEST_CHAIN) {
    seen.add(next.fingerprint256 ?? '');
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}
