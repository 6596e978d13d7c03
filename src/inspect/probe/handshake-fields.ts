/** Fields of single handshake messages, TLS 1.2 (RFC 5246 §7.4) and TLS 1.3 (RFC 8446 §4). Each throws RangeError on damage. */
import { distinguishedNameText } from './distinguished-name.ts';

export interface CertificateRequestFields {
  /** DER of each Name. */
  readonly caNames: readonly Buffer[];
  readonly signatureAlgorithms: readonly string[];
  /** TLS 1.2 only: `ecdsa_sign`. */
  readonly certificateTypes: readonly string[];
}

/** Reads a message from its start; every read past the end throws RangeError. */
class Reader {
  #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get left(): number {
    return this.#bytes.length;
  }
  take(length: number): Buffer {
    if (length > this.#bytes.length) throw new RangeError('the message ends too soon');
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }
  number(octets: number): number {
    return this.take(octets).readUIntBE(0, octets);
  }
  /** A vector with its length in so many octets in front. */
  vector(octets: number): Reader {
    return new Reader(this.take(this.number(octets)));
  }
  rest(): Buffer {
    return this.#bytes;
  }
}

const EXTENSION_SUPPORTED_VERSIONS = 43;

/** The version and the suite that the server chose, as numbers; TLS 1.3 hides in an extension (RFC 8446 §4.2.1). */
export function serverHelloOf(body: Buffer): { version: number; suite: number } {
  const reader = new Reader(body);
  let version = reader.number(2);
  reader.take(32);
  reader.vector(1);
  const suite = reader.number(2);
  reader.take(1);
  // Extensions may be left out altogether before TLS 1.3.
  const extensions = reader.left > 0 ? reader.vector(2) : reader;
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const extension = extensions.vector(2);
    if (type === EXTENSION_SUPPORTED_VERSIONS) version = extension.number(2);
  }
  return { version, suite };
}

/** DER of each certificate, in the order sent. */
export function certificatesOf(certificate: Buffer, isTls13: boolean): Buffer[] {
  const reader = new Reader(certificate);
  if (isTls13) reader.vector(1); // certificate_request_context
  const list = reader.vector(3);
  const found: Buffer[] = [];
  while (list.left > 0) {
    found.push(list.vector(3).rest());
    if (isTls13) list.vector(2); // extensions of the entry
  }
  return found;
}

const EXTENSION_SIGNATURE_ALGORITHMS = 13;
const EXTENSION_CERTIFICATE_AUTHORITIES = 47;

export function certificateRequestOf(body: Buffer, isTls13: boolean): CertificateRequestFields {
  const reader = new Reader(body);
  const fields = { caNames: [] as Buffer[], signatureAlgorithms: [] as string[], certificateTypes: [] as string[] };
  if (!isTls13) {
    fields.certificateTypes = [...reader.vector(1).rest()].map((type) => CERTIFICATE_TYPES[type] ?? `type ${type}`);
    fields.signatureAlgorithms = signatureAlgorithms(reader.vector(2));
    fields.caNames = names(reader.vector(2));
    return fields;
  }
  reader.vector(1);
  const extensions = reader.vector(2);
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const extension = extensions.vector(2);
    if (type === EXTENSION_SIGNATURE_ALGORITHMS) fields.signatureAlgorithms = signatureAlgorithms(extension.vector(2));
    if (type === EXTENSION_CERTIFICATE_AUTHORITIES) fields.caNames = names(extension.vector(2));
  }
  return fields;
}

export function caNameTexts(fields: CertificateRequestFields): string[] {
  return fields.caNames.map(distinguishedNameText);
}

function names(list: Reader): Buffer[] {
  const found: Buffer[] = [];
  while (list.left > 0) found.push(list.vector(2).rest());
  return found;
}

function signatureAlgorithms(list: Reader): string[] {
  const found: string[] = [];
  while (list.left > 0) {
    const scheme = list.number(2);
    found.push(SIGNATURE_SCHEMES[scheme] ?? `0x${scheme.toString(16).padStart(4, '0')}`);
  }
  return found;
}

// RFC 5246 §7.4.4 and RFC 8422 §5.5.
const CERTIFICATE_TYPES: Record<number, string> = {
  1: 'rsa_sign',
  2: 'dss_sign',
  64: 'ecdsa_sign',
  66: 'rsa_fixed_ecdh',
};

// RFC 8446 §4.2.3, and the SHA-224 and DSA pairs of RFC 5246 that OpenSSL still lists.
const SIGNATURE_SCHEMES: Record<number, string> = {
  0x0201: 'rsa_pkcs1_sha1',
  0x0202: 'dsa_sha1',
  0x0203: 'ecdsa_sha1',
  0x0301: 'rsa_pkcs1_sha224',
  0x0302: 'dsa_sha224',
  0x0303: 'ecdsa_sha224',
  0x0401: 'rsa_pkcs1_sha256',
  0x0402: 'dsa_sha256',
  0x0403: 'ecdsa_secp256r1_sha256',
  0x0501: 'rsa_pkcs1_sha384',
  0x0502: 'dsa_sha384',
  0x0503: 'ecdsa_secp384r1_sha384',
  0x0601: 'rsa_pkcs1_sha512',
  0x0602: 'dsa_sha512',
  0x0603: 'ecdsa_secp521r1_sha512',
  0x0804: 'rsa_pss_rsae_sha256',
  0x0805: 'rsa_pss_rsae_sha384',
  0x0806: 'rsa_pss_rsae_sha512',
  0x0807: 'ed25519',
  0x0808: 'ed448',
  0x0809: 'rsa_pss_pss_sha256',
  0x080a: 'rsa_pss_pss_sha384',
  0x080b: 'rsa_pss_pss_sha512',
  0x081a: 'ecdsa_brainpoolP256r1tls13_sha256',
  0x081b: 'ecdsa_brainpoolP384r1tls13_sha384',
  0x081c: 'ecdsa_brainpoolP512r1tls13_sha512',
  0x0904: 'mldsa44',
  0x0905: 'mldsa65',
  0x0906: 'mldsa87',
};
