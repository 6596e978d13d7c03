/**
 * Making a certificate (RFC 5280 §4.1): the local CA and its leaves, and what `mtlsd demo` needs. What strict verifiers
 * ask for is always there: key identifiers on both sides, a critical keyUsage, names as subjectAltName.
 */
import { createHash, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { certificateParts, OID, publicKeyInfo, subjectKeyIdentifier } from '../../core/extensions.ts';
import * as der from '../../core/der-writer.ts';
import { addressOctets } from '../../core/address-octets.ts';

export interface SubjectName {
  readonly commonName?: string;
  readonly organization?: string;
}

export type Purpose = 'serverAuth' | 'clientAuth';

/** Who signs: the exact bytes of its name and its key identifier, so that paths are found by either. */
export interface Issuer {
  readonly name: Buffer;
  readonly keyIdentifier: Buffer;
  readonly key: KeyObject;
}

export interface MintOptions {
  /** Left out: an empty subject, which makes subjectAltName critical. */
  readonly subject?: SubjectName;
  /** Left out: self-signed with `key`. */
  readonly issuer?: Issuer;
  readonly publicKey: KeyObject;
  /** The private key of `publicKey`; needed where there is no issuer. */
  readonly key?: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Makes it a CA that may have so many intermediates below it. */
  readonly ca?: { readonly pathLength: number; readonly nameConstraints?: Buffer | null };
  /** Host names and IP addresses. */
  readonly hosts?: readonly string[];
  readonly purposes?: readonly Purpose[];
}

const PURPOSES: Record<Purpose, string> = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' };

/** @throws TypeError as mintDer does */
export function mint(options: MintOptions): X509Certificate {
  return new X509Certificate(mintDer(options));
}

/**
 * The same without a reading of what was made, which takes as long as the making.
 * @throws TypeError for a signing key that is neither EC nor RSA, or where neither issuer nor key is given
 */
export function mintDer(options: MintOptions): Buffer {
  const name = nameOf(options.subject ?? {});
  const signingKey = options.issuer?.key ?? options.key;
  if (!signingKey) throw new TypeError('a certificate needs an issuer, or its own private key');
  const algorithm = signatureAlgorithm(signingKey);
  const { spki, keyIdentifier } = publicPart(options.publicKey);
  const tbs = der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))),
    der.integer(serialNumber()),
    algorithm,
    options.issuer?.name ?? name,
    der.sequence(der.time(options.notBefore), der.time(options.notAfter)),
    name,
    spki,
    der.explicit(3, der.sequence(...extensions(options, keyIdentifier))),
  );
  const signature = sign('sha256', tbs, signingKey);
  return der.sequence(tbs, algorithm, der.bitString(signature));
}

interface PublicPart {
  readonly spki: Buffer;
  readonly keyIdentifier: Buffer;
}

/** All leaves have one key, and OpenSSL takes as long to write it out as to sign. */
const publicParts = new WeakMap<KeyObject, PublicPart>();

function publicPart(key: KeyObject): PublicPart {
  let part = publicParts.get(key);
  if (!part) {
    const spki = key.export({ type: 'spki', format: 'der' });
    part = { spki, keyIdentifier: keyIdentifierOf(spki) };
    publicParts.set(key, part);
  }
  return part;
}

/** A certificate and its key as an issuer. */
export function issuerOf(certificate: X509Certificate, key: KeyObject): Issuer {
  const parts = certificateParts(certificate);
  const keyIdentifier = subjectKeyIdentifier(parts) ?? keyIdentifierOf(publicKeyInfo(certificate));
  return { name: parts.subject, keyIdentifier, key };
}

function nameOf(subject: SubjectName): Buffer {
  const attribute = (type: string, value: string) => der.set(der.sequence(der.oid(type), der.utf8String(value)));
  const attributes = [];
  if (subject.organization !== undefined) attributes.push(attribute('2.5.4.10', subject.organization));
  if (subject.commonName !== undefined) attributes.push(attribute('2.5.4.3', subject.commonName));
  return der.sequence(...attributes);
}

/** 127 random bits: positive, at most 20 octets (RFC 5280 §4.1.2.2), no two alike. The bit below the sign fixes the length. */
function serialNumber(): Buffer {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets;
}

/** 160 bits of SHA-256 over the key: RFC 5280 §4.2.1.2 leaves the method open, and RFC 7093 §2 shows the way off SHA-1. */
function keyIdentifierOf(spki: Buffer): Buffer {
  return createHash('sha256').update(spki).digest().subarray(0, 20);
}

function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return der.sequence(der.oid('1.2.840.10045.4.3.2'));
  if (key.asymmetricKeyType === 'rsa') return der.sequence(der.oid('1.2.840.113549.1.1.11'), der.nothing());
  throw new TypeError(`a key of type ${key.asymmetricKeyType} can't sign certificates here; EC and RSA can`);
}

function extensions(options: MintOptions, keyIdentifier: Buffer): Buffer[] {
  const { ca, hosts = [], purposes = [] } = options;
  const list = [];
  // digitalSignature alone: P-256 keys and TLS 1.3 encrypt nothing with the key.
  const usage = ca ? der.bitString(Buffer.of(0b0000_0110), 1) : der.bitString(Buffer.of(0b1000_0000), 7);
  const constraints = ca ? der.sequence(der.boolean(true), der.integer(Buffer.of(ca.pathLength))) : der.sequence();
  list.push(extension(OID.basicConstraints, true, constraints));
  list.push(extension(OID.keyUsage, true, usage));
  // RFC 5280 §4.2.1.10: always critical.
  if (ca?.nameConstraints) list.push(extension(OID.nameConstraints, true, ca.nameConstraints));
  if (purposes.length > 0) {
    const oids = purposes.map((purpose) => der.oid(PURPOSES[purpose]));
    list.push(extension(OID.extendedKeyUsage, false, der.sequence(...oids)));
  }
  if (hosts.length > 0) {
    // RFC 5280 §4.2.1.6: subjectAltName is critical where the subject is empty.
    list.push(extension(OID.subjectAltName, options.subject === undefined, der.sequence(...hosts.map(generalName))));
  }
  list.push(extension(OID.subjectKeyIdentifier, false, der.octetString(keyIdentifier)));
  const authority = options.issuer?.keyIdentifier ?? keyIdentifier;
  list.push(extension(OID.authorityKeyIdentifier, false, der.sequence(der.implicit(0, authority))));
  return list;
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return der.sequence(der.oid(type), ...(critical ? [der.boolean(true)] : []), der.octetString(value));
}

/** dNSName [2] or iPAddress [7] (RFC 5280 §4.2.1.6): an address in a dNSName is refused by every verifier of today. */
function generalName(host: string): Buffer {
  return isIP(host) ? der.implicit(7, addressOctets(host)) : der.implicit(2, Buffer.from(host, 'ascii'));
}
