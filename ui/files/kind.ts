/** What a dropped file is, by its content and never by its name, as the daemon itself does it. Pure: bytes in, kind out. */

export type FileKind =
  | 'pfx'
  | 'certificate'
  | 'key'
  | 'encrypted-key'
  | 'certificate-and-key'
  | 'certificate-and-encrypted-key'
  | 'unknown';

export const KIND_NAMES: Readonly<Record<FileKind, string>> = {
  pfx: 'PKCS#12',
  certificate: 'certificate',
  key: 'private key',
  'encrypted-key': 'private key, encrypted',
  'certificate-and-key': 'certificate and key',
  'certificate-and-encrypted-key': 'certificate and key, encrypted',
  unknown: 'unknown format',
};

export function kindOf(bytes: Uint8Array): FileKind {
  const labels = [...asText(bytes).matchAll(/-----BEGIN ([A-Z0-9 ]+)-----(?:\s*Proc-Type: 4,(ENCRYPTED))?/g)];
  return labels.length > 0 ? pemKind(labels) : derKind(bytes);
}

function pemKind(labels: readonly RegExpMatchArray[]): FileKind {
  const certificate = labels.some(([, label = '']) => label.endsWith('CERTIFICATE'));
  const keys = labels.filter(([, label = '']) => label.endsWith('PRIVATE KEY'));
  const encrypted = keys.some(([, label = '', legacy]) => label.startsWith('ENCRYPTED') || legacy !== undefined);
  if (keys.length === 0) return certificate ? 'certificate' : 'unknown';
  if (certificate) return encrypted ? 'certificate-and-encrypted-key' : 'certificate-and-key';
  return encrypted ? 'encrypted-key' : 'key';
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OID = 0x06;
const OCTET_STRING = 0x04;

/**
 * The first elements tell them apart: PFX begins with INTEGER 3 (RFC 7292 §4), PKCS#8 and PKCS#1 keys with INTEGER 0, SEC1
 * keys with INTEGER 1, an encrypted PKCS#8 with an algorithm and an OCTET STRING, a certificate with a SEQUENCE of sequences.
 */
function derKind(bytes: Uint8Array): FileKind {
  const outer = element(bytes, 0);
  if (outer?.tag !== SEQUENCE) return 'unknown';
  const first = element(bytes, outer.start);
  if (!first) return 'unknown';
  if (first.tag === INTEGER) {
    const version = first.length === 1 ? bytes[first.start] : undefined;
    if (version === 3) return 'pfx';
    return version === 0 || version === 1 ? 'key' : 'unknown';
  }
  if (first.tag !== SEQUENCE) return 'unknown';
  const inner = element(bytes, first.start);
  const second = element(bytes, first.start + first.length);
  if (inner?.tag === OID) return second?.tag === OCTET_STRING ? 'encrypted-key' : 'unknown';
  return second?.tag === SEQUENCE ? 'certificate' : 'unknown';
}

/** `length` is to the end for the indefinite form (BER), which some programs write a PFX in. */
function element(bytes: Uint8Array, at: number): { tag: number; start: number; length: number } | null {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return null;
  if (first < 0x80) return { tag, start: at + 2, length: first };
  const count = first & 0x7f;
  if (count === 0) return { tag, start: at + 2, length: bytes.length - at - 2 };
  if (count > 4) return null;
  let length = 0;
  for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  return { tag, start: at + 2 + count, length };
}

/** PowerShell's `>` writes UTF-16 with a byte-order mark. */
function asText(bytes: Uint8Array): string {
  const utf16 =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : null;
  return new TextDecoder(utf16 ?? 'utf-8').decode(bytes);
}

export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** As PEM text: what is PEM stays as it is, DER is wrapped. */
export function toPem(bytes: Uint8Array, kind: FileKind): string {
  const text = asText(bytes);
  if (text.includes('-----BEGIN ')) return text;
  const label =
    kind === 'certificate' ? 'CERTIFICATE' : kind === 'encrypted-key' ? 'ENCRYPTED PRIVATE KEY' : derKeyLabel(bytes);
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** PKCS#8 has an algorithm second, PKCS#1 an INTEGER, SEC1 an OCTET STRING. */
function derKeyLabel(bytes: Uint8Array): string {
  const outer = element(bytes, 0);
  const first = outer && element(bytes, outer.start);
  const second = first && element(bytes, first.start + first.length);
  if (second?.tag === INTEGER) return 'RSA PRIVATE KEY';
  return second?.tag === OCTET_STRING ? 'EC PRIVATE KEY' : 'PRIVATE KEY';
}
