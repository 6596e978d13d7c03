/** What node:crypto does not show of a certificate: its extensions (RFC 5280 §4.2) and the bytes of its names. */
import type { X509Certificate } from 'node:crypto';
import { children, type Element, elements, explicitElements, oidText, TAG, timeOf } from './der.ts';
import { tryOr } from './try-or.ts';

export interface Extension {
  readonly critical: boolean;
  /** The DER inside the OCTET STRING. */
  readonly value: Buffer;
}

export interface CertificateParts {
  /** DER of the Name, byte for byte: an issued certificate must repeat it so. */
  readonly subject: Buffer;
  readonly issuer: Buffer;
  /** By OID in dots. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

const TAG_VERSION = 0xa0;
const TAG_EXTENSIONS = 0xa3;

/**
 * The parts of a certificate (RFC 5280 §4.1).
 * @throws RangeError where the DER is damaged
 */
export function certificateParts(x509: X509Certificate): CertificateParts {
  const { fields, first } = fieldsOf(x509);
  const extensions = extensionsIn(fields.find((field) => field.tag === TAG_EXTENSIONS));
  return { issuer: need(fields[first + 2]).raw, subject: need(fields[first + 4]).raw, extensions };
}

/**
 * The extensions of a certificate or a CRL, by OID in dots.
 * @param holder their EXPLICIT tag
 * @throws RangeError where the DER is damaged
 */
export function extensionsIn(holder: Element | undefined): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const extension of explicitElements(holder)) {
    const parts = children(extension.raw);
    const critical = parts[1]?.tag === TAG.boolean && parts[1].value[0] !== 0;
    const oid = oidText(need(parts[0]).value);
    // RFC 5280 §4.2: one of a kind. Of two basicConstraints, which would hold?
    if (extensions.has(oid)) throw new RangeError(`the extension ${oid} is there twice`);
    extensions.set(oid, { critical, value: need(parts.at(-1)).value });
  }
  return extensions;
}

/**
 * The DER of a certificate's SubjectPublicKeyInfo as it is in the certificate; OpenSSL takes 0.1 ms to encode it again.
 * @throws RangeError where the DER is damaged
 */
export function publicKeyInfo(x509: X509Certificate): Buffer {
  const { fields, first } = fieldsOf(x509);
  return need(fields[first + 5]).raw;
}

/**
 * The DER of a certificate's serial number, tag and length included.
 * @throws RangeError where the DER is damaged
 */
export function serialNumber(x509: X509Certificate): Buffer {
  const { fields, first } = fieldsOf(x509);
  return need(fields[first]).raw;
}

export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/**
 * The times of a certificate, each an Invalid Date where it can't be read: Node (24.21) gives what its memory happens to hold then.
 * Never throws.
 */
export function validityOf(x509: X509Certificate): Validity {
  const times = tryOr(() => {
    const { fields, first } = fieldsOf(x509);
    return children(need(fields[first + 3]).raw);
  }, []);
  const at = (index: number): Date => tryOr(() => timeOf(need(times[index])), new Date(Number.NaN));
  return { from: at(0), to: at(1) };
}

/** `first` is the index of the serial number: version is absent in v1; then signature, issuer, validity, subject, key. */
function fieldsOf(x509: X509Certificate): { fields: Element[]; first: number } {
  const [tbs] = children(x509.raw);
  const fields = children(need(tbs).raw);
  return { fields, first: fields[0]?.tag === TAG_VERSION ? 1 : 0 };
}

function need(element: Element | undefined): Element {
  if (!element) throw new RangeError('a field of the certificate is missing');
  return element;
}

export const OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  crlDistributionPoints: '2.5.29.31',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
} as const;

/** RFC 5280 §4.2.1.9; null where the extension is absent. `pathLength` is null where there is no limit. */
export function basicConstraints(parts: CertificateParts): { ca: boolean; pathLength: number | null } | null {
  const extension = parts.extensions.get(OID.basicConstraints);
  if (!extension) return null;
  const fields = children(extension.value);
  const ca = fields[0]?.tag === TAG.boolean && fields[0].value[0] !== 0;
  const limit = fields.find((field) => field.tag === TAG.integer);
  return { ca, pathLength: limit ? limit.value.readUIntBE(0, Math.min(limit.value.length, 6)) : null };
}

export type KeyUsage = 'digitalSignature' | 'keyEncipherment' | 'keyAgreement' | 'keyCertSign' | 'cRLSign';

// RFC 5280 §4.2.1.3: the bit's place counted from the most significant one.
const KEY_USAGE_BITS: Record<KeyUsage, number> = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
};

/** Whether the key may be used so; a certificate without the extension allows all (RFC 5280 §4.2.1.3). */
export function mayUseKey(parts: CertificateParts, usage: KeyUsage): boolean {
  const extension = parts.extensions.get(OID.keyUsage);
  if (!extension) return true;
  const [bits] = elements(extension.value);
  return ((bits?.value[1] ?? 0) & (0x80 >> KEY_USAGE_BITS[usage])) !== 0;
}

/**
 * RFC 5280 §4.2.1.12, as OIDs in dots; null where the extension is absent. Node's `keyUsage` is not used: on a damaged extension
 * it leaves an error in OpenSSL's queue, and the next key that is read fails with it (24.21).
 * @throws RangeError where the DER is damaged
 */
export function extendedKeyUsage(x509: X509Certificate): string[] | null {
  const extension = certificateParts(x509).extensions.get(OID.extendedKeyUsage);
  if (!extension) return null;
  return children(extension.value).map(({ tag, value }) => {
    if (tag !== TAG.oid) throw new RangeError('an extended key usage is no OID');
    return oidText(value);
  });
}

/** RFC 5280 §4.2.1.2; null where the extension is absent. */
export function subjectKeyIdentifier(parts: CertificateParts): Buffer | null {
  const extension = parts.extensions.get(OID.subjectKeyIdentifier);
  return extension ? (elements(extension.value)[0]?.value ?? null) : null;
}

/** The keyIdentifier of RFC 5280 §4.2.1.1; null where there is none. */
export function authorityKeyIdentifier(parts: CertificateParts): Buffer | null {
  const extension = parts.extensions.get(OID.authorityKeyIdentifier);
  return extension ? (children(extension.value).find((field) => field.tag === 0x80)?.value ?? null) : null;
}

/** DER of each name in the CRL distribution points of a certificate (RFC 5280 §4.2.1.13). */
export function crlNames(parts: CertificateParts): Buffer[] {
  const extension = parts.extensions.get(OID.crlDistributionPoints);
  if (!extension) return [];
  return children(extension.value).flatMap((point) => distributionPointNames(children(point.raw)[0]));
}

/** Of `distributionPoint [0] { fullName [0] GeneralNames }`; none of any other form. */
export function distributionPointNames(point: Element | undefined): Buffer[] {
  if (point?.tag !== 0xa0) return [];
  const [fullName] = children(point.raw);
  return fullName?.tag === 0xa0 ? children(fullName.raw).map(({ raw }) => raw) : [];
}

const TAG_URI = 0x86;

/** The http URLs among them. */
export function crlUrls(parts: CertificateParts): string[] {
  return crlNames(parts).flatMap((name) => {
    const text = name[0] === TAG_URI ? (elements(name)[0]?.value.toString('latin1') ?? '') : '';
    return /^http:\/\//i.test(text) ? [text] : [];
  });
}

/** Whether the certificate demands an OCSP staple: `status_request` (5) among its TLS features (RFC 7633 §4.2.3). */
export function demandsStaple(parts: CertificateParts): boolean {
  const extension = parts.extensions.get(OID.tlsFeature);
  return extension !== undefined && children(extension.value).some(({ value }) => value.length === 1 && value[0] === 5);
}
