/**
 * What is wrong along one path, certificate by certificate. OpenSSL's verdict comes first and decides, but it reports
 * only the last of several problems; so what a rule allows must pass these checks too.
 */
import type { X509Certificate } from 'node:crypto';
import { children, oidText, TAG } from '../../core/der.ts';
import {
  basicConstraints,
  type CertificateParts,
  mayUseKey,
  OID,
  publicKeyInfo,
  validityOf,
} from '../../core/extensions.ts';
import { certificateFacts, rfc3339 } from '../../core/facts.ts';
import { hasNameConstraints, violationOf } from '../../core/name-constraints.ts';
import { tryOr } from '../../core/try-or.ts';
import { couldHaveIssued, type Path, partsOf } from './path.ts';
import type { Finding, ProblemCode } from './problems.ts';

/** Problems of a path, in OpenSSL's sense: issuers, signatures, dates, CA rights, purpose, extensions. */
export function pathFindings(path: Path, time: Date): Finding[] {
  return [
    ...endFindings(path),
    ...path.certificates.flatMap((certificate, depth) => [
      ...dateFindings(certificate, depth, time),
      ...signatureFindings(path, depth),
      ...rightsFindings(path, depth),
    ]),
  ];
}

function finding(code: ProblemCode, depth: number, certificate: X509Certificate, message: string): Finding {
  return { code, depth, subject: certificateFacts(certificate).subject, message };
}

/** How the path ends where it does not end in an anchor. */
function endFindings({ certificates, anchored, tooLong }: Path): Finding[] {
  const top = certificates.at(-1);
  if (anchored || !top) return [];
  const depth = certificates.length - 1;
  const { subject, issuer } = certificateFacts(top);
  if (tooLong) return [finding('CERT_CHAIN_TOO_LONG', depth, top, `the chain goes on after ${depth + 1} certificates`)];
  if (couldHaveIssued(top, top)) {
    return depth === 0
      ? [
          finding(
            'DEPTH_ZERO_SELF_SIGNED_CERT',
            0,
            top,
            `the server's certificate is self-signed, and not trusted: ${subject}`,
          ),
        ]
      : [
          finding(
            'SELF_SIGNED_CERT_IN_CHAIN',
            depth,
            top,
            `the root that the chain ends in is not trusted: ${subject}`,
          ),
        ];
  }
  return depth === 0
    ? [
        finding(
          'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
          0,
          top,
          `the server sent no issuer for its certificate, and none is trusted: ${issuer}`,
        ),
      ]
    : [
        finding(
          'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
          depth,
          top,
          `the issuer of the last certificate in the chain is not trusted: ${issuer}`,
        ),
      ];
}

function dateFindings(certificate: X509Certificate, depth: number, time: Date): Finding[] {
  const { from, to } = validityOf(certificate);
  // A comparison with an invalid date is false, so unreadable ones are asked for first.
  if (Number.isNaN(from.getTime())) {
    return [finding('ERROR_IN_CERT_NOT_BEFORE_FIELD', depth, certificate, 'the start of the validity is not a time')];
  }
  if (Number.isNaN(to.getTime())) {
    return [finding('ERROR_IN_CERT_NOT_AFTER_FIELD', depth, certificate, 'the end of the validity is not a time')];
  }
  const now = rfc3339(time);
  if (time > to) {
    const message = `the certificate expired at ${rfc3339(to)}, ${span(time.getTime() - to.getTime())} ago; checked at ${now}`;
    return [finding('CERT_HAS_EXPIRED', depth, certificate, message)];
  }
  if (time < from) {
    const message = `the certificate is valid from ${rfc3339(from)}, in ${span(from.getTime() - time.getTime())}; checked at ${now}`;
    return [finding('CERT_NOT_YET_VALID', depth, certificate, message)];
  }
  return [];
}

function span(ms: number): string {
  for (const [unit, size] of [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ] as const) {
    const count = Math.floor(ms / size);
    if (count > 0) return count === 1 ? `1 ${unit}` : `${count} ${unit}s`;
  }
  return 'less than a minute';
}

function signatureFindings({ certificates }: Path, depth: number): Finding[] {
  const [certificate, issuer] = [certificates[depth], certificates[depth + 1]];
  if (!certificate || !issuer) return [];
  try {
    if (verified(certificate, issuer)) return [];
  } catch {
    const message = `the public key of the issuer can't be read: ${certificateFacts(issuer).subject}`;
    return [finding('UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', depth + 1, issuer, message)];
  }
  const message = `the signature does not verify with the key of ${certificateFacts(issuer).subject}`;
  return [finding('CERT_SIGNATURE_FAILURE', depth, certificate, message)];
}

/** Throws where the issuer's key can't be read. */
export function verified(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.verify(issuer.publicKey);
}

function rightsFindings(path: Path, depth: number): Finding[] {
  const certificate = path.certificates[depth];
  const parts = certificate && partsOf(certificate);
  if (!certificate) return [];
  try {
    if (!parts) throw new RangeError('damaged');
    return [
      ...extensionFindings(certificate, parts, depth),
      ...(depth === 0 ? [] : caFindings(path, certificate, parts, depth)),
      ...purposeFindings(certificate, parts, depth),
    ];
  } catch {
    return [finding('INVALID_EXTENSION', depth, certificate, 'the extensions of the certificate are damaged')];
  }
}

/** Critical extensions that OpenSSL understands; it refuses others, and so do we. */
const UNDERSTOOD = new Set<string>([
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.extendedKeyUsage,
  OID.inhibitAnyPolicy,
  '2.16.840.1.113730.1.1', // netscape-cert-type
  '2.5.29.31', // crlDistributionPoints
]);

function extensionFindings(certificate: X509Certificate, parts: CertificateParts, depth: number): Finding[] {
  return [...parts.extensions].flatMap(([oid, { critical }]) =>
    critical && !UNDERSTOOD.has(oid)
      ? [
          finding(
            'UNHANDLED_CRITICAL_EXTENSION',
            depth,
            certificate,
            `the certificate has a critical extension that is not known here: ${oid}`,
          ),
        ]
      : [],
  );
}

function caFindings(path: Path, certificate: X509Certificate, parts: CertificateParts, depth: number): Finding[] {
  const { subject } = certificateFacts(certificate);
  const constraints = basicConstraints(parts);
  // A root from before X.509 v3 has no basicConstraints; as an anchor it counts as a CA.
  const old =
    constraints === null && path.anchored && depth === path.certificates.length - 1 && parts.extensions.size === 0;
  const found: Finding[] = [];
  if (constraints?.ca !== true && !old) {
    found.push(finding('INVALID_CA', depth, certificate, `a certificate was issued by one that is no CA: ${subject}`));
  }
  if (!mayUseKey(parts, 'keyCertSign')) {
    const message = `the key usage of a CA does not let it sign certificates: ${subject}`;
    found.push(finding('KEYUSAGE_NO_CERTSIGN', depth, certificate, message));
  }
  // RFC 5280 §4.2.1.9: self-issued certificates, as at a change of keys, don't count; nor does the leaf.
  const below = path.certificates.slice(1, depth).filter((each) => each.subject !== each.issuer).length;
  const limit = constraints?.pathLength ?? null;
  if (limit !== null && below > limit) {
    const message = `the CA allows ${limit} CAs below itself, and there are ${below}: ${subject}`;
    found.push(finding('PATH_LENGTH_EXCEEDED', depth, certificate, message));
  }
  const [leaf] = path.certificates;
  const violation = leaf ? violationOf(certificate, certificateFacts(leaf).sans) : null;
  if (violation) {
    const verb = violation.code === 'EXCLUDED_VIOLATION' ? 'exclude' : 'do not permit';
    found.push(
      finding(violation.code, depth, certificate, `the name constraints of ${subject} ${verb} ${violation.name}`),
    );
  }
  return found;
}

function purposeFindings(certificate: X509Certificate, parts: CertificateParts, depth: number): Finding[] {
  const usages = certificateFacts(certificate).extended_key_usage;
  if (usages && !usages.includes('serverAuth')) {
    const message = `the certificate is for ${usages.join(', ') || 'nothing'} only, not for serverAuth`;
    return [finding('INVALID_PURPOSE', depth, certificate, message)];
  }
  const forTls = (['digitalSignature', 'keyEncipherment', 'keyAgreement'] as const).some((usage) =>
    mayUseKey(parts, usage),
  );
  if (depth === 0 && !forTls) {
    return [finding('INVALID_PURPOSE', 0, certificate, 'the key usage of the certificate allows no TLS handshake')];
  }
  // OpenSSL checks whether a CA may be used for TLS too, and reports both where it may not.
  if (depth > 0 && basicConstraints(parts)?.ca === false) {
    return [finding('INVALID_PURPOSE', depth, certificate, 'the certificate is not for a CA of TLS servers')];
  }
  return [];
}

/**
 * Keys and signatures below 112 bits (NIST SP 800-57 part 1, table 2), at any security level of OpenSSL:
 * with a rule for an old server the level is 0.
 */
export function strengthFindings(path: Path): Finding[] {
  return path.certificates.flatMap((certificate, depth) => {
    const { key, signature, self_signed } = certificateFacts(certificate);
    const found: Finding[] = [];
    if (isWeak(certificate)) {
      const code = depth === 0 ? 'EE_KEY_TOO_SMALL' : 'CA_KEY_TOO_SMALL';
      found.push(finding(code, depth, certificate, `the key is too weak: ${key}; RSA needs 2048 bits, EC 224`));
    }
    if (hasExplicitCurve(certificate)) {
      found.push(finding('EC_KEY_EXPLICIT_PARAMS', depth, certificate, 'the EC key names no curve'));
    }
    // The signature of an anchor or of a self-signed certificate vouches for nothing.
    const isAnchor = path.anchored && depth === path.certificates.length - 1;
    if (!isAnchor && !self_signed && /md[245]|sha1(?!\d)/i.test(signature)) {
      found.push(
        finding('CA_MD_TOO_WEAK', depth, certificate, `the certificate is signed with a broken digest: ${signature}`),
      );
    }
    return found;
  });
}

/** RFC 5480 §2.1.1: Node names the curve of a key that brings it in numbers, where OpenSSL knows it. */
function hasExplicitCurve(certificate: X509Certificate): boolean {
  return tryOr(() => {
    const [algorithm] = children(publicKeyInfo(certificate));
    const [type, curve] = algorithm ? children(algorithm.raw) : [];
    return type !== undefined && oidText(type.value) === EC_PUBLIC_KEY && curve?.tag === TAG.sequence;
  }, false);
}

const EC_PUBLIC_KEY = '1.2.840.10045.2.1';

function isWeak(certificate: X509Certificate): boolean {
  const match = /^(RSA|RSA-PSS|DSA) (\d+)$/.exec(certificateFacts(certificate).key);
  if (match) return Number(match[2]) < 2048;
  const bits = /^EC (?:P-|secp|sect|prime|brainpoolP)(\d+)/.exec(certificateFacts(certificate).key);
  return bits !== null && Number(bits[1]) < 224;
}

/** Whether anything above the leaf constrains names: OpenSSL checks all of that, we only part. */
export function hasUncheckedConstraints(path: Path): boolean {
  return path.certificates
    .slice(1)
    .some((certificate) => partsOf(certificate) !== null && hasNameConstraints(certificate));
}
