/** A certificate whose key no algorithm of the server's CertificateRequest fits is silently not sent (RFC 8446 §4.4.2.3). */
import type { KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** @param socket a client socket after its handshake, from a server that asked for a certificate */
export function isSendable(publicKey: KeyObject, socket: TLSSocket): boolean {
  const tls13 = socket.getProtocol() === 'TLSv1.3';
  // OpenSSL's names: `ECDSA+SHA256`, `RSA-PSS+SHA256`, `RSA+SHA256`, `Ed25519+UNDEF`.
  const shared = socket.getSharedSigalgs();
  const type = publicKey.asymmetricKeyType ?? '';
  if (type === 'ec') {
    // TLS 1.3 ties the hash to the curve, and knows no other curves (RFC 8446 §4.2.3; RFC 8734 for brainpool, whose
    // algorithms OpenSSL lists under the same names); 1.2 does neither.
    const curve = publicKey.asymmetricKeyDetails?.namedCurve ?? '';
    if (!tls13) return shared.some((name) => name.startsWith('ECDSA+'));
    const hash = { prime256v1: 'SHA256', secp384r1: 'SHA384', secp521r1: 'SHA512' }[curve];
    if (hash) return shared.includes(`ECDSA+${hash}`);
    return curve.startsWith('brainpool') && new Set(shared).size < shared.length;
  }
  const pss = shared.some((name) => name.startsWith('RSA-PSS+'));
  if (type === 'rsa') return pss || (!tls13 && shared.some((name) => name.startsWith('RSA+')));
  if (type === 'rsa-pss') return pss;
  if (type === 'ed25519') return shared.some((name) => name.startsWith('Ed25519'));
  if (type === 'ed448') return shared.some((name) => name.startsWith('Ed448'));
  return true; // a kind of key that OpenSSL knows and this list does not: OpenSSL decides
}

/** The kinds of keys that the server takes, of those that OpenSSL has: `RSA, EC P-256`. */
export function takenKeys(socket: TLSSocket): string {
  const tls13 = socket.getProtocol() === 'TLSv1.3';
  const kinds = socket.getSharedSigalgs().map((name) => {
    const [kind = name, hash = ''] = name.split('+');
    if (kind !== 'ECDSA') return kind === 'RSA-PSS' ? 'RSA' : kind;
    return tls13 ? `EC ${{ SHA256: 'P-256', SHA384: 'P-384', SHA512: 'P-521' }[hash] ?? ''}`.trim() : 'EC';
  });
  return [...new Set(kinds)].join(', ');
}

/**
 * The signature algorithms that both sides take. Node has no event for a CertificateRequest, and nothing else leaves any.
 * Empty too where the handle is gone.
 */
export function sharedAlgorithms(socket: TLSSocket): readonly string[] {
  // Declared as never null, and null without a handle.
  const shared: readonly string[] | null = socket.getSharedSigalgs();
  return shared ?? [];
}
