/**
 * PFX (PKCS#12, RFC 7292) -> the keys and certificates in it. Runs in the decoder's thread.
 *
 * Its own walk and not node-forge's or Node's: Node gives nothing but a TLS context, in which a root of the PFX becomes a
 * trust anchor, and refuses RC2; node-forge fails on EC keys, on non-ASCII passphrases and on the empty one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { CodedError } from '../../core/errors.ts';
import {
  type Asn1,
  Asn1Error,
  bmpString,
  integer,
  isContext,
  isSequence,
  items,
  octets,
  oid,
  parseAsn1,
  toDer,
} from './asn1.ts';
import { bounded, decodeError, decrypt, derivePbes2, type Password, pkcs12Kdf } from './pbe.ts';

interface PfxItem {
  readonly der: Buffer;
  readonly friendlyName: string | null;
}

export interface PfxContent {
  /** PKCS#8, unencrypted. */
  readonly keys: readonly PfxItem[];
  readonly certificates: readonly PfxItem[];
}

const ID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  safeContentsBag: '1.2.840.113549.1.12.10.1.6',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  pbmac1: '1.2.840.113549.1.5.14',
} as const;

const digests: Record<string, { name: string; length: number }> = {
  '1.3.14.3.2.26': { name: 'sha1', length: 20 },
  '2.16.840.1.101.3.4.2.4': { name: 'sha224', length: 28 },
  '2.16.840.1.101.3.4.2.1': { name: 'sha256', length: 32 },
  '2.16.840.1.101.3.4.2.2': { name: 'sha384', length: 48 },
  '2.16.840.1.101.3.4.2.3': { name: 'sha512', length: 64 },
};

/** @throws CodedError of DecodeCode */
export function decodePkcs12(der: Uint8Array, passphrase: string | null): PfxContent {
  try {
    const [, authSafe, macData] = items(parseAsn1(der));
    const content = contentOf(authSafe, ID.data);
    const candidates = passwords(passphrase ?? '');
    const right = macData ? candidates.find((password) => macMatches(macData, content, password)) : undefined;
    if (macData && !right) throw decodeError('PASSPHRASE_WRONG', 'mac verify failure');
    // The encoding that the MAC proved first; the PFX may have been written by two programs.
    const ordered = right ? [right, ...candidates.filter((password) => password !== right)] : candidates;
    return walk(content, ordered);
  } catch (error) {
    if (error instanceof Asn1Error) throw decodeError('PFX_INVALID', error.message);
    throw error;
  }
}

/**
 * The encodings that programs have used for one passphrase. Without a passphrase: both of "" (RFC 7292 appendix B.1 makes
 * it two zero bytes, others use none). Beyond ASCII: OpenSSL before 1.1 took each byte of UTF-8 for a character, and some
 * tools use Latin-1 where UTF-8 is meant.
 */
export function passwords(passphrase: string): Password[] {
  const bmp = (text: string) => Buffer.from(`${text}\0`, 'utf16le').swap16();
  const utf8 = Buffer.from(passphrase, 'utf8');
  const list: Password[] = [{ bytes: utf8, bmp: bmp(passphrase) }];
  if (passphrase === '') list.push({ bytes: utf8, bmp: Buffer.alloc(0) });
  if (utf8.length !== passphrase.length) {
    list.push({ bytes: utf8, bmp: bmp(utf8.toString('latin1')) });
    list.push({ bytes: Buffer.from(passphrase, 'latin1'), bmp: bmp(passphrase) });
  }
  return list;
}

function macMatches(macData: Asn1, content: Buffer, password: Password): boolean {
  const [digestInfo, salt, count] = items(macData);
  const [algorithm, expected] = items(digestInfo);
  const [id, parameters] = items(algorithm);
  const mac = octets(expected);
  if (oid(id) === ID.pbmac1) return pbmac1Matches(parameters, content, mac, password);
  const digest = digests[oid(id)];
  if (!digest) throw decodeError('ENCRYPTION_UNSUPPORTED', `MAC digest ${oid(id)}`);
  const iterations = bounded(count ? integer(count) : 1);
  const key = pkcs12Kdf(digest.name, password.bmp, octets(salt), iterations, 3, digest.length);
  return equal(createHmac(digest.name, key).update(content).digest(), mac);
}

/** RFC 9579 §4. */
function pbmac1Matches(parameters: Asn1 | undefined, content: Buffer, mac: Buffer, password: Password): boolean {
  const [kdf, scheme] = items(parameters);
  const hmac = oid(items(scheme)[0]);
  const name = { '1.2.840.113549.2.9': 'sha256', '1.2.840.113549.2.10': 'sha384', '1.2.840.113549.2.11': 'sha512' }[
    hmac
  ];
  if (name === undefined) throw decodeError('ENCRYPTION_UNSUPPORTED', `MAC ${hmac}`);
  const key = derivePbes2(kdf, password, mac.length);
  return equal(createHmac(name, key).update(content).digest(), mac);
}

function equal(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function walk(authenticatedSafe: Buffer, candidates: readonly Password[]): PfxContent {
  const keys: PfxItem[] = [];
  const certificates: PfxItem[] = [];
  const visit = (safeContents: Asn1) => {
    for (const bag of items(safeContents)) {
      const [id, value, attributes] = items(bag);
      const name = oid(id);
      const inner = items(value)[0];
      const friendlyName = attributes ? friendlyNameOf(attributes) : null;
      if (name === ID.keyBag && inner) keys.push({ der: toDer(inner), friendlyName });
      else if (name === ID.shroudedKeyBag) {
        const [algorithm, data] = items(inner);
        const isKey = (der: Buffer) => isSequence(parseAsn1(der));
        keys.push({ der: decryptAny(algorithm, octets(data), candidates, isKey), friendlyName });
      } else if (name === ID.certBag) {
        const [type, certificate] = items(inner);
        if (oid(type) === ID.x509Certificate) certificates.push({ der: octets(items(certificate)[0]), friendlyName });
      } else if (name === ID.safeContentsBag && inner) visit(inner);
      // CRLs and secrets are not used.
    }
  };
  for (const contentInfo of items(parseAsn1(authenticatedSafe))) {
    const kind = oid(items(contentInfo)[0]);
    if (kind === ID.data) visit(parseAsn1(contentOf(contentInfo, ID.data)));
    else if (kind === ID.encryptedData) visit(decryptedContents(contentInfo, candidates));
    else throw decodeError('ENCRYPTION_UNSUPPORTED', 'encryption to a public key');
  }
  return { keys, certificates };
}

/** The string in a ContentInfo of type data. */
function contentOf(contentInfo: Asn1 | undefined, type: string): Buffer {
  const [id, explicit] = items(contentInfo);
  if (oid(id) !== type)
    throw decodeError('ENCRYPTION_UNSUPPORTED', 'a PFX that is signed and not sealed by a passphrase');
  return octets(items(explicit)[0]);
}

function decryptedContents(contentInfo: Asn1, candidates: readonly Password[]): Asn1 {
  const encryptedData = items(items(contentInfo)[1])[0];
  const [, algorithm, data] = items(items(encryptedData)[1]);
  if (!isContext(data, 0)) throw new Asn1Error('the encrypted content is missing');
  const isSafe = (der: Buffer) => isSequence(parseAsn1(der));
  return parseAsn1(decryptAny(algorithm, octets(data), candidates, isSafe));
}

function decryptAny(
  algorithm: Asn1 | undefined,
  data: Buffer,
  candidates: readonly Password[],
  isRight: (der: Buffer) => boolean,
): Buffer {
  if (!algorithm) throw new Asn1Error('an algorithm is missing');
  for (const password of candidates) {
    try {
      const plain = decrypt(algorithm, data, password);
      if (isRight(plain)) return plain;
    } catch (error) {
      const wrong = error instanceof Asn1Error || (error instanceof CodedError && error.code === 'PASSPHRASE_WRONG');
      if (!wrong) throw error;
    }
  }
  throw decodeError('PASSPHRASE_WRONG', 'bad decrypt');
}

function friendlyNameOf(attributes: Asn1): string | null {
  for (const attribute of items(attributes)) {
    const [id, values] = items(attribute);
    if (oid(id) === ID.friendlyName) return bmpString(items(values)[0]);
  }
  return null;
}
