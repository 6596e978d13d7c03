/**
 * Password-based encryption of keys and PFX bags: PBES2 and PBES1 (RFC 8018), the PKCS#12 schemes (RFC 7292 appendix C).
 * Derivation and the ciphers that OpenSSL 3 still has come from node:crypto; RC2 and single DES, which it dropped, from
 * node-forge. Runs in the decoder's thread.
 *
 * Who still has such keys: macOS Keychain Access, Windows before 10, Java before 8u301 and OpenSSL 1 export PFX files with
 * RC2-40 for the certificates, and `openssl pkcs8 -v1` and old appliances wrote keys with single DES or RC2.
 */
import { createDecipheriv, createHash, hash, pbkdf2Sync, scryptSync } from 'node:crypto';
import forge from 'node-forge';
import { CodedError } from '../../core/errors.ts';
import { type Asn1, integer, isInteger, items, octets, oid } from './asn1.ts';

/** One passphrase in the two forms that algorithms take. */
export interface Password {
  /** PBES1, PBES2: bytes, UTF-8 in today's files. */
  readonly bytes: Buffer;
  /** PKCS#12's own derivation: UTF-16BE with two zero bytes at the end (RFC 7292 appendix B.1). */
  readonly bmp: Buffer;
}

export type DecodeCode =
  | 'PASSPHRASE_WRONG'
  | 'ENCRYPTION_UNSUPPORTED'
  | 'DECRYPTION_TOO_COSTLY'
  | 'PFX_INVALID'
  | 'KEY_INVALID';

/** @param detail an algorithm or a count; never anything of the passphrase */
export function decodeError(code: DecodeCode, detail: string): CodedError<DecodeCode> {
  return new CodedError(code, detail, '');
}

/** Four times what OWASP asks for SHA-1 in 2023, one or two seconds of one core; native code can't be stopped half-way. */
const MOST_ITERATIONS = 5_000_000;
/** Node's own limit is 32 MiB; OpenSSL's `-scrypt` default takes 16. */
const MOST_SCRYPT_BYTES = 128 * 1024 * 1024;

const prfs: Record<string, string> = {
  '1.2.840.113549.2.6': 'md5',
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
  '1.2.840.113549.2.12': 'sha512-224',
  '1.2.840.113549.2.13': 'sha512-256',
};

interface Cipher {
  readonly name: string;
  readonly keyLength: number;
  readonly ivLength: number;
  /** Effective key bits, for RC2 alone. */
  readonly bits?: number;
}

const aes = (bits: number): Cipher => ({ name: `aes-${bits}-cbc`, keyLength: bits / 8, ivLength: 16 });
const tripleDes: Cipher = { name: 'des-ede3-cbc', keyLength: 24, ivLength: 8 };
const twoKeyTripleDes: Cipher = { name: 'des-ede-cbc', keyLength: 16, ivLength: 8 };
const des: Cipher = { name: 'des-cbc', keyLength: 8, ivLength: 8 };
const rc2 = (bits: number): Cipher => ({ name: 'rc2-cbc', keyLength: bits / 8, ivLength: 8, bits });

const pbes2Ciphers: Record<string, Cipher> = {
  '2.16.840.1.101.3.4.1.2': aes(128),
  '2.16.840.1.101.3.4.1.22': aes(192),
  '2.16.840.1.101.3.4.1.42': aes(256),
  '1.2.840.113549.3.7': tripleDes,
  '1.3.14.3.2.7': des,
};

const pkcs12Ciphers: Record<string, Cipher> = {
  '1.2.840.113549.1.12.1.3': tripleDes,
  '1.2.840.113549.1.12.1.4': twoKeyTripleDes,
  '1.2.840.113549.1.12.1.5': rc2(128),
  '1.2.840.113549.1.12.1.6': rc2(40),
};

const pbes1: Record<string, { digest: string; cipher: Cipher }> = {
  '1.2.840.113549.1.5.3': { digest: 'md5', cipher: des },
  '1.2.840.113549.1.5.6': { digest: 'md5', cipher: rc2(64) },
  '1.2.840.113549.1.5.10': { digest: 'sha1', cipher: des },
  '1.2.840.113549.1.5.11': { digest: 'sha1', cipher: rc2(64) },
};

const names: Record<string, string> = {
  '1.2.840.113549.1.12.1.1': 'RC4 with 128 bits',
  '1.2.840.113549.1.12.1.2': 'RC4 with 40 bits',
  '1.2.840.113549.1.5.1': 'MD2 and DES',
  '1.2.840.113549.1.5.4': 'MD2 and RC2',
};

/**
 * @param algorithm the AlgorithmIdentifier
 * @throws CodedError of DecodeCode; a wrong password shows as PASSPHRASE_WRONG by its padding, with a chance of 1 in 256 that it doesn't
 */
export function decrypt(algorithm: Asn1, data: Buffer, password: Password): Buffer {
  const [id, parameters] = items(algorithm);
  const name = oid(id);
  if (name === '1.2.840.113549.1.5.13') return decryptPbes2(parameters, data, password);
  const [salt, count] = items(parameters);
  const iterations = bounded(integer(count));
  const old = pbes1[name];
  if (old) {
    const derived = pbkdf1(old.digest, password.bytes, octets(salt), iterations);
    return decipher(old.cipher, derived.subarray(0, 8), derived.subarray(8, 16), data);
  }
  const cipher = pkcs12Ciphers[name];
  if (!cipher) throw decodeError('ENCRYPTION_UNSUPPORTED', names[name] ?? `algorithm ${name}`);
  const derive = (id: number, length: number) => pkcs12Kdf('sha1', password.bmp, octets(salt), iterations, id, length);
  return decipher(cipher, derive(1, cipher.keyLength), derive(2, cipher.ivLength), data);
}

/** RFC 8018 §6.2. */
function decryptPbes2(parameters: Asn1 | undefined, data: Buffer, password: Password): Buffer {
  const [kdf, scheme] = items(parameters);
  const [schemeId, schemeParameters] = items(scheme);
  const name = oid(schemeId);
  if (name === '1.2.840.113549.3.2') {
    const { bits, iv } = rc2Parameters(schemeParameters);
    const key = derivePbes2(kdf, password, bits / 8);
    return decipher({ ...rc2(bits), keyLength: key.length }, key, iv, data);
  }
  const cipher = pbes2Ciphers[name];
  if (!cipher) throw decodeError('ENCRYPTION_UNSUPPORTED', `cipher ${name}`);
  return decipher(cipher, derivePbes2(kdf, password, cipher.keyLength), octets(schemeParameters), data);
}

/** RFC 8018 appendix B.2.3: the version number encodes the effective bits. */
function rc2Parameters(parameters: Asn1 | undefined): { bits: number; iv: Buffer } {
  const [version, iv] = items(parameters);
  const bits = { 160: 40, 120: 64, 58: 128 }[integer(version)];
  if (bits === undefined) throw decodeError('ENCRYPTION_UNSUPPORTED', 'RC2 with an unusual key length');
  return { bits, iv: octets(iv) };
}

/** PBKDF2 (RFC 8018 §5.2) or scrypt (RFC 7914 §7). */
export function derivePbes2(kdf: Asn1 | undefined, password: Password, keyLength: number): Buffer {
  const [id, parameters] = items(kdf);
  const [salt, ...rest] = items(parameters);
  if (oid(id) === '1.3.6.1.4.1.11591.4.11') {
    const [N, r, p] = [integer(rest[0]), integer(rest[1]), integer(rest[2])];
    if (128 * N * r > MOST_SCRYPT_BYTES || p > 16)
      throw decodeError('DECRYPTION_TOO_COSTLY', `scrypt with N=${N}, r=${r}, p=${p}`);
    return scryptSync(password.bytes, octets(salt), keyLength, { N, r, p, maxmem: 2 * MOST_SCRYPT_BYTES });
  }
  if (oid(id) !== '1.2.840.113549.1.5.12') throw decodeError('ENCRYPTION_UNSUPPORTED', `key derivation ${oid(id)}`);
  const iterations = bounded(integer(rest[0]));
  const prf = rest.slice(1).find((node) => !isInteger(node));
  const digest = prf === undefined ? 'sha1' : prfs[oid(items(prf)[0])];
  if (digest === undefined) throw decodeError('ENCRYPTION_UNSUPPORTED', 'an unusual PBKDF2 digest');
  return pbkdf2Sync(password.bytes, octets(salt), iterations, keyLength, digest);
}

/** RFC 8018 §5.1. */
function pbkdf1(digest: string, password: Buffer, salt: Buffer, iterations: number): Buffer {
  let block = Buffer.concat([password, salt]);
  for (let i = 0; i < iterations; i++) block = hash(digest, block, 'buffer');
  return block;
}

/** RFC 7292 appendix B.2. @param id 1 key, 2 IV, 3 MAC key */
export function pkcs12Kdf(
  digest: string,
  password: Buffer,
  salt: Buffer,
  iterations: number,
  id: number,
  length: number,
): Buffer {
  const v = digest === 'sha384' || digest === 'sha512' ? 128 : 64;
  const stretch = (bytes: Buffer) => Buffer.alloc(Math.ceil(bytes.length / v) * v, bytes);
  const block = Buffer.concat([stretch(salt), bytesOrNone(password, stretch)]);
  const out: Buffer[] = [];
  for (let size = 0; size < length; ) {
    let a = createHash(digest).update(Buffer.alloc(v, id)).update(block).digest();
    for (let i = 1; i < iterations; i++) a = hash(digest, a, 'buffer');
    out.push(a);
    size += a.length;
    const b = Buffer.alloc(v, a);
    for (let at = 0; at < block.length; at += v) addOne(block.subarray(at, at + v), b);
  }
  return Buffer.concat(out).subarray(0, length);
}

function bytesOrNone(bytes: Buffer, stretch: (bytes: Buffer) => Buffer): Buffer {
  return bytes.length === 0 ? bytes : stretch(bytes); // Buffer.alloc refuses to be filled with nothing
}

/** block = block + b + 1, as one big-endian number without its overflow. */
function addOne(block: Buffer, b: Buffer): void {
  let carry = 1;
  for (let i = block.length - 1; i >= 0; i--) {
    carry += (block[i] ?? 0) + (b[i] ?? 0);
    block[i] = carry & 0xff;
    carry >>= 8;
  }
}

export function bounded(iterations: number): number {
  if (iterations > MOST_ITERATIONS)
    throw decodeError('DECRYPTION_TOO_COSTLY', `${iterations} iterations, over ${MOST_ITERATIONS}`);
  return Math.max(1, iterations);
}

/** OpenSSL's traditional PEM encryption (EVP_BytesToKey with MD5, one round), for what Node no longer opens. */
export function decryptTraditional(dekInfo: string, data: Buffer, password: Password): Buffer {
  const [algorithm = '', ivHex = ''] = dekInfo.split(',');
  const cipher = { 'DES-CBC': des, 'RC2-CBC': rc2(128), 'RC2-64-CBC': rc2(64), 'RC2-40-CBC': rc2(40) }[
    algorithm.trim()
  ];
  if (!cipher) throw decodeError('ENCRYPTION_UNSUPPORTED', algorithm.slice(0, 40));
  const iv = Buffer.from(ivHex.trim(), 'hex');
  const first = hash('md5', Buffer.concat([password.bytes, iv.subarray(0, 8)]), 'buffer');
  return decipher(cipher, first.subarray(0, cipher.keyLength), iv, data);
}

function decipher(cipher: Cipher, key: Buffer, iv: Buffer, data: Buffer): Buffer {
  if (cipher.name === 'rc2-cbc' || cipher.name === 'des-cbc') return decipherWithForge(cipher, key, iv, data);
  // Two-key triple DES is the three-key one with the first key again.
  const [name, full] =
    cipher === twoKeyTripleDes ? [tripleDes.name, Buffer.concat([key, key.subarray(0, 8)])] : [cipher.name, key];
  try {
    const decipher = createDecipheriv(name, full, iv);
    return Buffer.concat([decipher.update(data), decipher.final()]);
  } catch {
    throw decodeError('PASSPHRASE_WRONG', 'bad decrypt');
  }
}

interface ForgeCipher {
  readonly output: forge.util.ByteStringBuffer;
  update(input: forge.util.ByteStringBuffer): void;
  finish(): boolean;
}
/** Not in the library's types. */
type Rc2 = { createDecryptionCipher(key: string, bits: number): ForgeCipher & { start(iv: string): void } };

function decipherWithForge({ name, bits = 0 }: Cipher, key: Buffer, iv: Buffer, data: Buffer): Buffer {
  const [keyText, ivText] = [key.toString('latin1'), iv.toString('latin1')];
  let cipher: ForgeCipher;
  if (name === 'rc2-cbc') {
    const rc2Cipher = (forge as unknown as { rc2: Rc2 }).rc2.createDecryptionCipher(keyText, bits);
    rc2Cipher.start(ivText);
    cipher = rc2Cipher;
  } else {
    const desCipher = forge.cipher.createDecipher('DES-CBC', keyText);
    desCipher.start({ iv: ivText });
    cipher = desCipher;
  }
  cipher.update(forge.util.createBuffer(data.toString('latin1')));
  if (!cipher.finish()) throw decodeError('PASSPHRASE_WRONG', 'bad decrypt');
  return Buffer.from(cipher.output.getBytes(), 'latin1');
}
