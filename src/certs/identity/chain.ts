/** Finds the leaf and its chain among certificates in any order, and diagnoses them. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { extendedKeyUsage } from '../../core/extensions.ts';
import { certificateFacts, isSelfSigned, issuedBy, rfc3339 } from '../../core/facts.ts';
import { tryOr } from '../../core/try-or.ts';
import type { TrustAnchors } from '../trust.ts';
import { diagnosis, shellWord } from './diagnosis.ts';
import type { Diagnosis } from './identity.ts';

/** RFC 5280 §4.2.1.12; anyExtendedKeyUsage includes all of them. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';
/** Longer chains than any CA makes; servers give up earlier (OpenSSL's default depth is 100, Go's much less in practice). */
export const LONGEST_CHAIN = 16;

export type CertificateFormat = 'pem' | 'der' | 'pfx';

export interface Chain {
  readonly leaf: X509Certificate;
  /** Leaf first, each certified by the next; without a self-signed root, which the server has to have anyway. */
  readonly chain: readonly X509Certificate[];
  /** Of the leaf, where the files hold it, the root too. */
  readonly issuer: X509Certificate | null;
  /** The self-signed certificate at the end of the chain, where the files have one above the leaf. */
  readonly root: X509Certificate | null;
  readonly problems: readonly Diagnosis[];
}

/**
 * @param roots known here, by which a missing issuer may be none
 * @returns null where no certificate belongs to the key
 */
export function orderChain(
  certificates: readonly X509Certificate[],
  key: KeyObject,
  file: string,
  format: CertificateFormat,
  roots: Pick<TrustAnchors, 'certificates'>,
): Chain | null {
  const leafIndex = certificates.findIndex((certificate) => certificate.checkPrivateKey(key));
  const leaf = certificates[leafIndex];
  if (!leaf) return null;
  const problems: Diagnosis[] = [];
  // By fingerprint: files repeat certificates, a PFX with several keys does as a rule.
  const distinct = new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
  distinct.delete(leaf.fingerprint256);
  const rest = new Set(distinct.values());
  const linked = [leaf];
  let top = leaf;
  while (!isSelfSigned(top) && linked.length < LONGEST_CHAIN) {
    const issuer = [...rest].find((candidate) => certified(top, candidate));
    if (!issuer) break;
    rest.delete(issuer);
    linked.push(issuer);
    top = issuer;
  }
  // A PFX has no order.
  if (format !== 'pfx' && linked.some(({ fingerprint256 }, i) => certificates[i]?.fingerprint256 !== fingerprint256)) {
    problems.push(
      diagnosis(
        'CHAIN_OUT_OF_ORDER',
        file,
        `the certificates in ${file} are not in order, leaf first; they are sent in the right order`,
        'nothing needs to be done for mtlsd; other programs want the leaf first, then each issuer',
      ),
    );
  }
  problems.push(...gapProblems(top, [...rest], file, format, roots));
  // RFC 8446 §4.4.2: the trust anchor may be left out. One that is the leaf itself is what the server pinned.
  const root = linked.length > 1 && isSelfSigned(top) ? top : null;
  const chain = root ? linked.slice(0, -1) : linked;
  return { leaf, chain, root, issuer: linked[1] ?? null, problems: [...problems, ...signatureProblems(leaf, file)] };
}

/** Whether it may certify is another question, to which checkIssued says no without a word. */
function certified(subject: X509Certificate, issuer: X509Certificate): boolean {
  return subject.issuer === issuer.subject && tryOr(() => subject.verify(issuer.publicKey), false);
}

/** Common names of intermediate CAs: `Smallstep Intermediate CA`, `Corp Issuing CA 2`. */
const INTERMEDIATE_NAME = /\b(intermediate|issuing|subordinate|sub[ -]?ca)\b/i;

function gapProblems(
  top: X509Certificate,
  rest: readonly X509Certificate[],
  file: string,
  format: CertificateFormat,
  roots: Pick<TrustAnchors, 'certificates'>,
): Diagnosis[] {
  const issuer = certificateFacts(top).issuer;
  const others = rest.map((certificate) => certificateFacts(certificate).subject).join('; ');
  const pem = shellWord(format === 'pem' ? file : `${file}.pem`);
  const append = `cat intermediate.pem >> ${pem}`;
  const how: Record<CertificateFormat, string> = {
    pem: `append it to the file: ${append}`,
    der: `put both into a PEM file: openssl x509 -in ${shellWord(file)} -out ${pem} && ${append}`,
    pfx: 'export the PFX again with its chain',
  };
  // A root need not be sent, and most private roots are not known here: only signs of an intermediate are worth a warning.
  // A CA that gives a "CA Issuers" address expects its intermediates to be fetched from there.
  const byIntermediate =
    rest.some((certificate) => certificate.ca) ||
    /CA Issuers/.test(top.infoAccess ?? '') ||
    INTERMEDIATE_NAME.test(issuer);
  if (!isSelfSigned(top) && byIntermediate && !roots.certificates.some((root) => issuedBy(top, root))) {
    const also = others === '' ? '' : `; the file also holds ${others}, which did not issue it`;
    return [
      diagnosis(
        'INTERMEDIATE_MISSING',
        file,
        `the certificate of ${issuer} is missing in ${file}${also}`,
        `unless the server has it, ${how[format]}`,
      ),
    ];
  }
  if (rest.length === 0) return [];
  return [
    diagnosis(
      'UNRELATED_CERTIFICATE',
      file,
      `${file} holds certificates that are not in the chain and are not sent: ${others}`,
      'take them out of the file',
    ),
  ];
}

/** What a server that asks for a client certificate may refuse. */
export function usageProblems(leaf: X509Certificate, file: string): Diagnosis[] {
  const problems: Diagnosis[] = [];
  const { subject } = certificateFacts(leaf);
  const usages = tryOr(() => extendedKeyUsage(leaf), null);
  if (usages && usages.length > 0 && !usages.includes(CLIENT_AUTH) && !usages.includes(ANY_USAGE)) {
    const names = certificateFacts(leaf).extended_key_usage?.join(', ') ?? usages.join(', ');
    problems.push(
      diagnosis(
        'NOT_CLIENT_CERTIFICATE',
        file,
        `${subject} is not a client certificate: its extended key usage is ${names}, without clientAuth`,
        'most servers refuse it; ask the CA for a certificate with clientAuth',
      ),
    );
  }
  if (leaf.ca) {
    const [message, hint] = isSelfSigned(leaf)
      ? [
          `${subject} is a self-signed CA certificate, which only a server that pins it accepts`,
          'make a self-signed client certificate with: openssl req -x509 -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth',
        ]
      : [
          `${subject} is a CA certificate, not a client's`,
          'most servers refuse it; ask for a client certificate issued by this CA',
        ];
    problems.push(diagnosis('CA_CERTIFICATE', file, message, hint));
  }
  return problems;
}

function signatureProblems(leaf: X509Certificate, file: string): Diagnosis[] {
  const { subject, signature } = certificateFacts(leaf);
  if (!/md5|md2|sha1\b|sha-?1With|SHA1/i.test(signature)) return [];
  return [
    diagnosis(
      'WEAK_SIGNATURE',
      file,
      `${subject} is signed with ${signature}, which many servers refuse`,
      'ask the CA to issue it again with SHA-256',
    ),
  ];
}

/** These change with time, so they are computed at each use and not stored with the identity. */
export function dateProblems(leaf: X509Certificate, file: string | null, now = new Date()): Diagnosis[] {
  if (now >= leaf.validFromDate && now <= leaf.validToDate) return [];
  const { subject } = certificateFacts(leaf);
  if (now > leaf.validToDate) {
    return [
      diagnosis(
        'CERTIFICATE_EXPIRED',
        file,
        `${subject} expired ${rfc3339(leaf.validToDate)}; it is ${rfc3339(now)}`,
        'renew it and replace the file; the new one is used at once',
      ),
    ];
  }
  return [
    diagnosis(
      'CERTIFICATE_NOT_YET_VALID',
      file,
      `${subject} is valid from ${rfc3339(leaf.validFromDate)}; it is ${rfc3339(now)}`,
      "check this machine's clock, or wait",
    ),
  ];
}
