/** A private key's DER -> KeyObject, of a kind that TLS can use. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { shellWord, unusable } from './diagnosis.ts';

/** They sign nothing in TLS: DSA was dropped with TLS 1.3 (RFC 8446 appendix D.5), the others only agree on keys. */
const USELESS_TYPES = new Set(['dsa', 'dh', 'x25519', 'x448']);

/** @throws CodedError KEY_INVALID, WRONG_KIND */
export function keyOf(der: Uint8Array, type: 'pkcs8' | 'pkcs1' | 'sec1', file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: Buffer.from(der), format: 'der', type });
  } catch {
    throw unusable(
      'KEY_INVALID',
      file,
      `the private key in ${file} is damaged`,
      `look at it with: openssl pkey -in ${shellWord(file)} -noout -text`,
    );
  }
  if (USELESS_TYPES.has(key.asymmetricKeyType ?? '')) {
    const kind = key.asymmetricKeyType?.toUpperCase();
    throw unusable('WRONG_KIND', file, `the private key in ${file} is ${kind}, which TLS can't sign with`, NO_USE_HINT);
  }
  return key;
}

export const NO_USE_HINT = 'ask the CA for a certificate with an EC or RSA key';

/** `EC P-256` is for certificates; this is what the key itself says: `RSA 2048`, `EC prime256v1`, `ED25519`. */
export function describeKey(key: KeyObject): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  return [key.asymmetricKeyType?.toUpperCase(), namedCurve ?? modulusLength].filter(Boolean).join(' ');
}
