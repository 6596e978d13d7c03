/** What a CA signed beside certificates: CRLs (RFC 5280 §5.1.1) and OCSP responses (RFC 6960 §4.2.1) have one frame. */
import { constants, type KeyObject, verify, type X509Certificate } from 'node:crypto';
import { children, type Element, explicitElements, oidText, TAG } from '../der.ts';
import { tryOr } from '../try-or.ts';
import { mayUseKey, type CertificateParts } from '../extensions.ts';

export interface Signed {
  /** Byte for byte what was signed. */
  readonly content: Element;
  readonly algorithm: Element;
  readonly signature: Buffer;
}

/**
 * @param fields content, algorithm and signature, in this order
 * @throws RangeError
 */
export function signedOf([content, algorithm, signature]: readonly Element[]): Signed {
  if (!content || !algorithm || signature?.tag !== TAG.bitString) throw new RangeError('the signature is missing');
  return { content, algorithm, signature: signature.value.subarray(1) };
}

/** The digest by algorithm; null where the algorithm has its own. MD5 and SHA-1 can be forged, so they are missing. */
const DIGESTS: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
  '1.3.101.113': null,
};
const RSA_PSS = '1.2.840.113549.1.1.10';
const PSS_DIGESTS: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

type Method = { readonly digest: string | null; readonly pss: boolean };

/** @throws RangeError for an algorithm that is not taken here, by its OID */
export function signingMethod({ algorithm }: Signed): Method {
  const [type, parameters] = children(algorithm.raw);
  const oid = type ? oidText(type.value) : '';
  if (oid === RSA_PSS && parameters) {
    // RFC 4055 §3.1: [0] names the digest, which is SHA-1 where it is left out.
    const named = children(parameters.raw).find(({ tag }) => tag === 0xa0);
    const [digest] = explicitElements(named);
    const known = PSS_DIGESTS[digest ? oidText(digest.value) : ''];
    if (known !== undefined) return { digest: known, pss: true };
  }
  const digest = DIGESTS[oid];
  if (digest === undefined) throw new RangeError(`it is signed with ${oid}, which is broken or not known here`);
  return { digest, pss: false };
}

/** Never throws: false where it can't be verified. */
export function isSignedBy(signed: Signed, key: KeyObject): boolean {
  try {
    const { digest, pss } = signingMethod(signed);
    const how = pss
      ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }
      : key;
    return verify(digest, signed.content.raw, how, signed.signature);
  } catch {
    return false;
  }
}

/** Whether a CA may sign CRLs: a certificate without key usage allows all (RFC 5280 §4.2.1.3). Never throws. */
export function maySignCrls(issuer: X509Certificate, parts: CertificateParts | null): boolean {
  return parts !== null && tryOr(() => mayUseKey(parts, 'cRLSign') && issuer.publicKey !== null, false);
}

/** RFC 5280 §5.3.1, by number; `unspecified` for undefined ones. */
const REASONS: Readonly<Record<number, string>> = {
  1: 'keyCompromise',
  2: 'cACompromise',
  3: 'affiliationChanged',
  4: 'superseded',
  5: 'cessationOfOperation',
  6: 'certificateHold',
  8: 'removeFromCRL',
  9: 'privilegeWithdrawn',
  10: 'aACompromise',
};

export function reasonName(code: number | undefined): string {
  return REASONS[code ?? 0] ?? 'unspecified';
}

/** That a certificate was revoked, when, and why. */
export interface Revocation {
  readonly at: Date;
  /** Of RFC 5280 §5.3.1: `keyCompromise`; `unspecified` where the CRL gives none. */
  readonly reason: string;
}

/** While what a CA signed is valid, by our clock, which may be set. */
export interface Span {
  readonly from: Date;
  readonly until: Date;
}

/** Clocks differ by minutes: a signature this far in the future is valid already. */
const SKEW_MS = 5 * 60_000;

export function spanOf(thisUpdate: Date, until: Date): Span {
  return { from: new Date(thisUpdate.getTime() - SKEW_MS), until };
}
