/** What a file is, by its content and never by its name. */
import { firstElement, firstElements, oidText, TAG } from '../../core/der.ts';

export type DerKind =
  | 'certificate'
  | 'request'
  | 'pkcs8'
  | 'encrypted-pkcs8'
  | 'pkcs1'
  | 'sec1'
  | 'dsa'
  | 'public-key'
  | 'pkcs7'
  | 'pfx';

export type FileKind = 'empty' | 'pem' | 'jks' | 'openssh' | 'putty' | 'base64' | 'unknown' | DerKind;

/** For sentences: "… is a PFX (PKCS#12) file". */
// biome-ignore format: a table reads best as a table
export const KIND_NAMES: Readonly<Record<FileKind, string>> = {
  empty: 'an empty file', pem: 'a PEM file', jks: 'a Java keystore', openssh: 'an OpenSSH private key', putty: 'a PuTTY private key',
  base64: 'base64 text without a BEGIN line', unknown: 'neither PEM nor DER', certificate: 'a certificate (DER)',
  request: 'a certificate request', pkcs8: 'a private key (PKCS#8, DER)', 'encrypted-pkcs8': 'an encrypted private key (PKCS#8, DER)',
  pkcs1: 'an RSA private key (PKCS#1, DER)', sec1: 'an EC private key (SEC1, DER)', dsa: 'a DSA private key',
  'public-key': 'a public key', pkcs7: 'a PKCS#7 file (.p7b)', pfx: 'a PFX (PKCS#12) file',
};

export interface Detected {
  readonly kind: FileKind;
  /** Text, where it is PEM: without a byte-order mark, decoded from UTF-16 where it was that. */
  readonly text: string | null;
  /** DER whose outer length exceeds the file. */
  readonly truncated: boolean;
}

export function detect(bytes: Buffer): Detected {
  if (bytes.length === 0 || (bytes.length < 4096 && textOf(bytes).trim() === '')) return found('empty');
  const magic = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  if (magic === 0xfeedfeed || magic === 0xcececece) return found('jks'); // JKS and JCEKS
  const der = derKind(bytes);
  if (der) return { kind: der, text: null, truncated: firstElement(bytes)?.whole === false };
  const text = textOf(bytes);
  if (text.includes('-----BEGIN OPENSSH PRIVATE KEY-----')) return found('openssh');
  if (text.includes('-----BEGIN ')) return { kind: 'pem', text, truncated: false };
  if (text.startsWith('PuTTY-User-Key-File-')) return found('putty');
  if (/^[A-Za-z0-9+/\s]{64,}={0,2}\s*$/.test(text.slice(0, 1_000_000))) return found('base64');
  return found('unknown');
}

function found(kind: FileKind): Detected {
  return { kind, text: null, truncated: false };
}

/** PowerShell's `>` writes UTF-16 with a byte-order mark; Notepad writes UTF-8 with one. */
function textOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.subarray(2).toString('utf16le');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return bytes.subarray(3).toString('latin1');
  return bytes.toString('latin1');
}

const PKCS7_DATA = '1.2.840.113549.1.7.1';
const PKCS7_SIGNED = '1.2.840.113549.1.7.2';

/** The first elements of the outer SEQUENCE identify the structure. */
export function derKind(bytes: Buffer): DerKind | null {
  const outer = firstElement(bytes);
  if (outer?.tag !== TAG.sequence) return null;
  const [first, second, third] = firstElements(outer.value, 3);
  if (!first) return null;
  if (first.tag === TAG.oid) return oidText(first.value) === PKCS7_SIGNED ? 'pkcs7' : null;
  if (first.tag === TAG.integer) {
    const version = first.value.length === 1 ? first.value[0] : undefined;
    if (version === 3 && second?.tag === TAG.sequence) {
      const [type] = firstElements(second.value, 1);
      return type?.tag === TAG.oid && [PKCS7_DATA, PKCS7_SIGNED].includes(oidText(type.value)) ? 'pfx' : null;
    }
    if (version === 1 && second?.tag === TAG.octetString) return 'sec1';
    if ((version === 0 || version === 1) && second?.tag === TAG.sequence && third?.tag === TAG.octetString)
      return 'pkcs8';
    if (version === 0 && second?.tag === TAG.integer)
      return firstElements(outer.value, 9).length === 6 ? 'dsa' : 'pkcs1';
    // RSAPublicKey: { modulus, exponent }.
    return second?.tag === TAG.integer && !third ? 'public-key' : null;
  }
  if (first.tag !== TAG.sequence) return null;
  const [inner, afterInner] = firstElements(first.value, 2);
  // TBSCertificate starts with [0] version; the rest may be cut off.
  if (inner?.tag === 0xa0) return 'certificate';
  if (!second) return null;
  // EncryptedPrivateKeyInfo, RFC 5958 §3: { AlgorithmIdentifier, OCTET STRING }.
  if (inner?.tag === TAG.oid) {
    return second.tag === TAG.octetString ? 'encrypted-pkcs8' : second.tag === TAG.bitString ? 'public-key' : null;
  }
  // A version 1 TBSCertificate starts with the serial and an AlgorithmIdentifier, a request with version 0 and its name.
  if (inner?.tag !== TAG.integer || afterInner?.tag !== TAG.sequence) return null;
  const [algorithm] = firstElements(afterInner.value, 1);
  return algorithm?.tag === TAG.oid ? 'certificate' : 'request';
}
