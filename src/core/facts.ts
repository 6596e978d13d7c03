/** The facts of a certificate, read from it. */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { extendedKeyUsage, publicKeyInfo, validityOf } from './extensions.ts';
import type { CertificateFacts, NameFacts } from './facts-schema.ts';
import { Lru } from './lru.ts';
import { tryOr } from './try-or.ts';

export type { CertificateFacts } from './facts-schema.ts';

/**
 * A certificate's facts. Never throws: what an odd certificate does not yield reads `unknown`, since a record with a
 * hole beats a connection without a record. All text is safe to print on one line.
 */
export function certificateFacts(x509: X509Certificate): CertificateFacts {
  const known = seen.get(x509.fingerprint256);
  if (known) return known;
  const facts = Object.freeze(read(x509));
  seen.set(facts.fingerprint256, facts);
  return facts;
}

/**
 * The facts by fingerprint, for the whole process: a pure function's results. Every connection to a host brings the same
 * chain, and reading one certificate takes 0.2 ms, most of it the check of its own signature. At 16 KiB of names each, 256
 * are 4 MiB at the worst.
 */
const seen = new Lru<string, CertificateFacts>(256);

/** The maker of a certificate writes its names; these limits keep a record to a few lines and a log line to one. */
const LONGEST_NAME = 1024;
const LONGEST_SAN_LIST = 16 * 1024;

function read(x509: X509Certificate): CertificateFacts {
  const validity = validityOf(x509);
  return {
    subject: tryOr(() => oneLine(x509.subject), 'unknown'),
    issuer: tryOr(() => oneLine(x509.issuer), 'unknown'),
    subject_name: tryOr(() => nameFacts(x509.subject), NO_NAME),
    issuer_name: tryOr(() => nameFacts(x509.issuer), NO_NAME),
    sans: tryOr(() => subjectAltNames(x509.subjectAltName), []),
    not_before: tryOr(() => rfc3339(validity.from), 'unknown'),
    not_after: tryOr(() => rfc3339(validity.to), 'unknown'),
    serial: tryOr(() => x509.serialNumber, 'unknown'),
    fingerprint256: x509.fingerprint256,
    fingerprint1: x509.fingerprint,
    spki256: tryOr(() => spkiHash(x509), 'unknown'),
    self_signed: tryOr(() => isSelfSigned(x509), false),
    ca: tryOr(() => x509.ca, false),
    key: tryOr(() => keyName(x509.publicKey), 'unknown'),
    signature: tryOr(() => x509.signatureAlgorithm ?? x509.signatureAlgorithmOid, 'unknown'),
    // What can't be read allows nothing.
    extended_key_usage: tryOr(() => extendedKeyUsage(x509)?.map((oid) => EXTENDED_KEY_USAGES[oid] ?? oid) ?? null, []),
  };
}

/** Issuer is subject and the signature verifies with its own key (RFC 5280 §3.2 calls it self-signed). */
export function isSelfSigned(x509: X509Certificate): boolean {
  return x509.subject === x509.issuer && tryOr(() => x509.verify(x509.publicKey), false);
}

/** base64 SHA-256 of the SubjectPublicKeyInfo (RFC 7469 §2.4). */
function spkiHash(x509: X509Certificate): string {
  return createHash('sha256').update(publicKeyInfo(x509)).digest('base64');
}

/** `2026-08-01T12:00:00Z`: certificates count whole seconds. */
export function rfc3339(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Names and key identifiers first, then the signature: checkIssued alone does not look at it. Never throws. */
export function issuedBy(subject: X509Certificate, issuer: X509Certificate): boolean {
  return tryOr(() => subject.checkIssued(issuer) && subject.verify(issuer.publicKey), false);
}

/** Text from the other side made safe to print: no control, format, line or surrogate character survives. */
export function printable(text: string, longest = LONGEST_NAME): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, '0')}`;
  });
}

/**
 * Node gives one attribute a line in encoded order, with RFC 2253 escapes. Most names are encoded from the country down
 * and read the other way round (RFC 4514 §2.1); some CAs encode them common name first, and those stay as they are.
 */
function oneLine(name: string | undefined): string {
  const attributes = (name ?? '').split('\n');
  if (!attributes[0]?.startsWith('CN=') || attributes.at(-1)?.startsWith('CN=')) attributes.reverse();
  return printable(attributes.join(', '));
}

function nameFacts(name: string | undefined): NameFacts {
  const attributes = nameAttributes(name);
  const last = (key: string): string | null => {
    const text = attributes[key]?.at(-1);
    return text === undefined ? null : printable(text);
  };
  return {
    common_name: last('CN'),
    organization: last('O'),
    organizational_unit: last('OU'),
    country: last('C'),
    state: last('ST'),
    locality: last('L'),
  };
}

const NO_NAME = nameFacts('');

/**
 * A name's attributes by their short names, each with all of its values in encoded order, as they were before Node escaped
 * them (RFC 2253 §2.4). toLegacyObject has the same, and ends the process on some certificates (inspect/peer-chain.ts).
 */
export function nameAttributes(name: string | undefined): Record<string, string[]> {
  const attributes: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const line of (name ?? '').split('\n')) {
    // Attributes of one RDN are on one line; a plus sign inside a value is escaped.
    for (const attribute of line.split(' + ')) {
      const at = attribute.indexOf('=');
      if (at > 0) (attributes[attribute.slice(0, at)] ??= []).push(unescaped(attribute.slice(at + 1)));
    }
  }
  return attributes;
}

/** `\,` is a comma, `\0A` one octet of UTF-8. */
function unescaped(value: string): string {
  if (!value.includes('\\')) return value;
  return value.replace(/\\(?:([0-9A-Fa-f]{2})|(.))/gs, (_all, hex: string | undefined, plain: string) =>
    hex === undefined ? plain : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const SAN_PREFIXES: Record<string, string> = { 'IP Address': 'IP', email: 'EMAIL' };

/** Splits Node's text form; a value with a comma or a quote in it arrives as a JSON string. */
function subjectAltNames(text: string | undefined): string[] {
  const names: string[] = [];
  let left = LONGEST_SAN_LIST;
  for (const [, type = '', quoted, plain] of (text ?? '').matchAll(
    /([^:,]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/g,
  )) {
    const value = quoted === undefined ? (plain ?? '') : String(JSON.parse(quoted));
    const name = printable(`${SAN_PREFIXES[type] ?? type}:${type === 'IP Address' ? compressed(value) : value}`);
    left -= name.length;
    if (left < 0) return [...names, '…'];
    names.push(name);
  }
  return names;
}

function compressed(ip: string): string {
  return isIPv6(ip) ? new URL(`http://[${ip}]/`).hostname.slice(1, -1) : ip;
}

const CURVES: Record<string, string> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function keyName(key: KeyObject): string {
  const details = key.asymmetricKeyDetails ?? {};
  const type = key.asymmetricKeyType ?? 'unknown';
  if (type === 'ec')
    return `EC ${CURVES[details.namedCurve ?? ''] ?? details.namedCurve ?? 'with explicit parameters'}`;
  if (type === 'rsa' || type === 'rsa-pss' || type === 'dsa') return `${type.toUpperCase()} ${details.modulusLength}`;
  return type.startsWith('ed') ? `E${type.slice(1)}` : type;
}

// RFC 5280 §4.2.1.12 and the two that are seen beside them.
const EXTENDED_KEY_USAGES: Record<string, string> = {
  '1.3.6.1.5.5.7.3.1': 'serverAuth',
  '1.3.6.1.5.5.7.3.2': 'clientAuth',
  '1.3.6.1.5.5.7.3.3': 'codeSigning',
  '1.3.6.1.5.5.7.3.4': 'emailProtection',
  '1.3.6.1.5.5.7.3.8': 'timeStamping',
  '1.3.6.1.5.5.7.3.9': 'OCSPSigning',
  '2.5.29.37.0': 'anyExtendedKeyUsage',
};
