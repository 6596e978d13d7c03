/** PBES2 (RFC 8018 §6.2) with PBKDF2, HMAC-SHA-256 and AES-256-CBC, as OpenSSL 3 writes it. Runs in the decoder's thread. */
import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import { integer, nothing, octetString, oid, sequence } from '../../core/der-writer.ts';

const ID = {
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  hmacSha256: '1.2.840.113549.2.9',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

/** What OWASP asks for PBKDF2 with HMAC-SHA-256 (Password Storage Cheat Sheet, 2023); Node's own export takes 2048. */
const PKCS8_ITERATIONS = 600_000;

interface Encrypted {
  /** DER of AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  readonly data: Buffer;
}

export function encrypt(plain: Uint8Array, passphrase: string, iterations: number): Encrypted {
  const [salt, iv] = [randomBytes(16), randomBytes(16)];
  const derived = pbkdf2Sync(passphrase, salt, iterations, 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', derived, iv);
  const prf = sequence(oid(ID.hmacSha256), nothing());
  const kdf = sequence(oid(ID.pbkdf2), sequence(octetString(salt), count(iterations), prf));
  const scheme = sequence(oid(ID.aes256Cbc), octetString(iv));
  return {
    algorithm: sequence(oid(ID.pbes2), sequence(kdf, scheme)),
    data: Buffer.concat([cipher.update(plain), cipher.final()]),
  };
}

/** EncryptedPrivateKeyInfo (RFC 5958 §3). @param key PKCS#8 */
export function encryptPkcs8(key: Uint8Array, passphrase: string): Buffer {
  const { algorithm, data } = encrypt(key, passphrase, PKCS8_ITERATIONS);
  return sequence(algorithm, octetString(data));
}

export function count(iterations: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(iterations);
  return integer(octets);
}
