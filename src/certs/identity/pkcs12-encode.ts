/**
 * A new PFX (PKCS#12, RFC 7292) with one key: AES-256, PBKDF2 and HMAC with SHA-256, as OpenSSL 3 writes them. Runs in the
 * decoder's thread, since deriving the keys takes some 100 ms. node-forge writes RSA keys alone.
 */
import { createHmac, hash, randomBytes } from 'node:crypto';
import {
  bmpString,
  explicit,
  implicit,
  integer,
  nothing,
  octetString,
  oid,
  sequence,
  set,
} from '../../core/der-writer.ts';
import { pkcs12Kdf } from './pbe.ts';
import { count, encrypt } from './pbes2-encrypt.ts';

export interface NewPfx {
  /** PKCS#8, unencrypted. */
  readonly key: Uint8Array;
  /** DER, the key's own first. */
  readonly certificates: readonly Uint8Array[];
  readonly passphrase: string;
  readonly friendlyName: string | null;
}

/** As much for the MAC as for the key: both stand on the same passphrase. 0.2 s to write, and as much to open. */
const iterations = 100_000;

const ID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

export function encodePkcs12({ key, certificates, passphrase, friendlyName }: NewPfx): Buffer {
  const [leaf = Buffer.alloc(0)] = certificates;
  const attributes = set(
    sequence(oid(ID.localKeyId), set(octetString(hash('sha1', leaf, 'buffer')))),
    ...(friendlyName === null ? [] : [sequence(oid(ID.friendlyName), set(bmpString(friendlyName)))]),
  );
  const bag = (kind: string, value: Buffer, own: boolean) =>
    own ? sequence(oid(kind), explicit(0, value), attributes) : sequence(oid(kind), explicit(0, value));
  const certBag = (der: Uint8Array) => sequence(oid(ID.x509Certificate), explicit(0, octetString(Buffer.from(der))));
  const certBags = sequence(...certificates.map((der, i) => bag(ID.certBag, certBag(der), i === 0)));
  const sealedCertificates = encrypt(certBags, passphrase, iterations);
  const sealedKey = encrypt(key, passphrase, iterations);
  const keyBags = sequence(bag(ID.shroudedKeyBag, sequence(sealedKey.algorithm, octetString(sealedKey.data)), true));
  const content = sequence(
    sequence(
      oid(ID.encryptedData),
      explicit(
        0,
        sequence(
          integer(Buffer.of(0)),
          sequence(oid(ID.data), sealedCertificates.algorithm, implicit(0, sealedCertificates.data)),
        ),
      ),
    ),
    dataInfo(keyBags),
  );
  return sequence(integer(Buffer.of(3)), dataInfo(content), macOf(content, passphrase));
}

const dataInfo = (content: Buffer): Buffer => sequence(oid(ID.data), explicit(0, octetString(content)));

/** RFC 7292 appendix B: the passphrase in UTF-16 with two zero bytes at its end. */
function macOf(content: Buffer, passphrase: string): Buffer {
  const salt = randomBytes(16);
  const key = pkcs12Kdf('sha256', Buffer.from(`${passphrase}\0`, 'utf16le').swap16(), salt, iterations, 3, 32);
  const mac = createHmac('sha256', key).update(content).digest();
  return sequence(
    sequence(sequence(oid(ID.sha256), nothing()), octetString(mac)),
    octetString(salt),
    count(iterations),
  );
}
