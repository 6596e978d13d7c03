/** A certification request (PKCS#10, RFC 2986) for the subject and the names of a certificate. */
import { constants, createPublicKey, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  Attribute,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  Extensions,
  GeneralName,
  id_ce_subjectAltName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509';
import { certificateParts, OID } from '../../core/extensions.ts';
import { RenewalFault } from './fault.ts';

/** PKCS#9 (RFC 2985 §5.4.2): the extensions that the certificate is to have. */
const ID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const ID_COMMON_NAME = '2.5.4.3';

/**
 * A request with the subject and the alternative names of a certificate (RFC 7030 §4.2.2), signed by a key.
 * @returns DER
 * @throws RenewalFault REQUEST_IMPOSSIBLE
 */
export function requestLike(certificate: X509Certificate, key: KeyObject): Buffer {
  const { subject, extensions } = certificateParts(certificate);
  const names = extensions.get(OID.subjectAltName);
  return signedRequest(AsnConvert.parse(subject, Name), names ?? null, key);
}

/**
 * A request for a first certificate.
 * @param commonName the subject's
 * @param names DNS names and IP addresses
 */
export function requestFor(commonName: string, names: readonly string[], key: KeyObject): Buffer {
  const sans = new SubjectAlternativeName(
    names.map((name) => new GeneralName(isIP(name) === 0 ? { dNSName: name } : { iPAddress: name })),
  );
  const value = Buffer.from(AsnConvert.serialize(sans));
  return signedRequest(nameOf(commonName), names.length === 0 ? null : { critical: false, value }, key);
}

function signedRequest(
  subject: Name,
  names: { readonly critical: boolean; readonly value: Buffer } | null,
  key: KeyObject,
): Buffer {
  const info = new CertificationRequestInfo({
    subject,
    subjectPKInfo: AsnConvert.parse(createPublicKey(key).export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
  });
  if (names !== null) {
    const extension = new Extension({
      extnID: id_ce_subjectAltName,
      critical: names.critical,
      extnValue: new OctetString(names.value),
    });
    const values = [AsnConvert.serialize(new Extensions([extension]))];
    info.attributes.push(new Attribute({ type: ID_EXTENSION_REQUEST, values }));
  }
  const algorithm = signatureOf(key);
  const signature = sign(algorithm.hash, Buffer.from(AsnConvert.serialize(info)), {
    key,
    ...(algorithm.pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  });
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: new AlgorithmIdentifier({
      algorithm: algorithm.oid,
      ...(algorithm.parameters && { parameters: arrayBuffer(algorithm.parameters) }),
    }),
    signature: arrayBuffer(signature),
  });
  return Buffer.from(AsnConvert.serialize(request));
}

interface Signature {
  readonly oid: string;
  /** null where the algorithm has its own. */
  readonly hash: string | null;
  readonly parameters?: Buffer;
  readonly pss?: boolean;
}

const DER_NULL = Buffer.of(5, 0);
/** RSASSA-PSS-params (RFC 4055 §3.1): SHA-256, MGF1 with SHA-256, salt of 32 octets. */
const PSS_SHA256 = Buffer.from(
  '3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
  'hex',
);

/** RFC 4055, 5758 and 8410; the hash as long as the key is strong. */
function signatureOf(key: KeyObject): Signature {
  const { hashAlgorithm, namedCurve, saltLength } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { oid: '1.2.840.113549.1.1.11', hash: 'sha256', parameters: DER_NULL };
    case 'rsa-pss':
      if ((hashAlgorithm ?? 'sha256') !== 'sha256' || (saltLength ?? 32) > 32) break;
      return { oid: '1.2.840.113549.1.1.10', hash: 'sha256', parameters: PSS_SHA256, pss: true };
    case 'ec':
      if (namedCurve === 'secp384r1') return { oid: '1.2.840.10045.4.3.3', hash: 'sha384' };
      if (namedCurve === 'secp521r1') return { oid: '1.2.840.10045.4.3.4', hash: 'sha512' };
      return { oid: '1.2.840.10045.4.3.2', hash: 'sha256' };
    case 'ed25519':
      return { oid: '1.3.101.112', hash: null };
    case 'ed448':
      return { oid: '1.3.101.113', hash: null };
    default:
  }
  const kind = [key.asymmetricKeyType, hashAlgorithm].filter(Boolean).join(' with ');
  throw new RenewalFault('REQUEST_IMPOSSIBLE', `a request can't be signed by a key of the kind ${kind}`);
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: ID_COMMON_NAME, value })])]);
}

function arrayBuffer(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}
