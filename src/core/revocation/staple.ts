/**
 * OCSP responses as servers staple them (RFC 6066 §8): read and verified (RFC 6960 §3.2) while the handshake continues. Our own
 * reader, since it runs in every handshake: a sixth of the time of @peculiar/asn1-ocsp or less (docs/decisions/0004-revocation.md).
 */
import { hash, X509Certificate } from 'node:crypto';
import { children, type Element, explicitElements, oidText, TAG, timeOf } from '../der.ts';
import { certificateParts, extendedKeyUsage, publicKeyInfo, serialNumber, validityOf } from '../extensions.ts';
import { rfc3339 } from '../facts.ts';
import { isSignedBy, reasonName, type Revocation, type Signed, signedOf, type Span, spanOf } from './signed.ts';

/** `stale`: its time is over, or has not come. `invalid`: it is not about this certificate, or its signer is not entitled. */
export type StapleStatus = 'good' | 'revoked' | 'unknown' | 'stale' | 'invalid' | 'absent';

export interface Staple {
  readonly status: StapleStatus;
  /** For people: what is wrong with it; null where it is good. */
  readonly message: string | null;
  readonly thisUpdate: Date | null;
  readonly nextUpdate: Date | null;
  readonly revocation: Revocation | null;
  /** How long it is good; null where it is not. */
  readonly span: Span | null;
}

const BASIC = '1.3.6.1.5.5.7.48.1.1';
const DIGESTS: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** RFC 6960 §4.2.1, by number. */
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
};
/** Where a response names no end of its time (RFC 6960 §4.2.2.1), it is this long as good as new. */
const WITHOUT_END_MS = 24 * 3_600_000;
/** A response has one certificate of its signer; a server may put in many. */
const MOST_SIGNERS = 4;
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

/**
 * The state of a certificate by its staple. Never throws.
 * @param bytes null where the server sent none
 * @param issuer of the certificate; null where it is not known, and nothing can be verified
 */
export function readStaple(
  bytes: Buffer | null,
  certificate: X509Certificate,
  issuer: X509Certificate | null,
  time: Date,
): Staple {
  if (bytes === null) return nothing('absent', 'the server sent no OCSP staple');
  try {
    return verifiedStaple(bytes, certificate, issuer, time);
  } catch (error) {
    const why = error instanceof RangeError ? error.message : 'it is damaged';
    return nothing('invalid', `the OCSP staple can't be used: ${why}`);
  }
}

function nothing(status: StapleStatus, message: string): Staple {
  return { status, message, thisUpdate: null, nextUpdate: null, revocation: null, span: null };
}

/** @throws RangeError saying why it can't be used */
function verifiedStaple(
  bytes: Buffer,
  certificate: X509Certificate,
  issuer: X509Certificate | null,
  time: Date,
): Staple {
  const [status, holder] = children(bytes);
  const refusal = status?.value[0] ?? 2;
  if (status?.tag !== TAG.enumerated || refusal !== 0)
    throw new RangeError(`the CA's responder answered ${REFUSALS[refusal] ?? `error ${refusal}`}`);
  const [type, content] = explicitElements(need(holder));
  if (oidText(need(type).value) !== BASIC) throw new RangeError('it is of a type that is not known here');
  const [data, algorithm, signature, signers] = children(need(content).value);
  const signed = signedOf([need(data), need(algorithm), need(signature)]);
  if (!issuer) throw new RangeError('the issuer of the certificate is not known, so nothing verifies its signature');
  const answer = need(
    answersIn(signed.content).find((each) => isAbout(each, certificate, issuer)),
    'it is about another certificate',
  );
  if (!isEntitled(signed, signers, issuer, time))
    throw new RangeError('neither the CA nor a responder that it entitles signed it');
  return judged(answer, time);
}

function need(element: Element | undefined, why = 'it ends too soon'): Element {
  if (!element) throw new RangeError(why);
  return element;
}

/** SingleResponses (RFC 6960 §4.2.1): behind version [0], responderID [1] or [2], and producedAt. */
function answersIn(data: Element): Element[] {
  const list = children(data.raw).find(({ tag }) => tag === TAG.sequence);
  return children(need(list).raw);
}

/** Whether the CertID (RFC 6960 §4.1.1) is the certificate's. */
function isAbout(answer: Element, certificate: X509Certificate, issuer: X509Certificate): boolean {
  const [algorithm, name, key, serial] = children(need(children(answer.raw)[0]).raw);
  const digest = DIGESTS[oidText(need(children(need(algorithm).raw)[0]).value)];
  if (digest === undefined || !need(serial).raw.equals(serialNumber(certificate))) return false;
  const keyBits = need(children(publicKeyInfo(issuer))[1]).value.subarray(1);
  return (
    need(name).value.equals(hash(digest, certificateParts(issuer).subject, 'buffer')) &&
    need(key).value.equals(hash(digest, keyBits, 'buffer'))
  );
}

/** RFC 6960 §4.2.2.2: the CA itself, or a certificate that it issued for this. */
function isEntitled(signed: Signed, signers: Element | undefined, issuer: X509Certificate, time: Date): boolean {
  if (isSignedBy(signed, issuer.publicKey)) return true;
  return explicitElements(signers)
    .slice(0, MOST_SIGNERS)
    .some(({ raw }) => {
      const signer = new X509Certificate(raw);
      const validity = validityOf(signer);
      const usages = extendedKeyUsage(signer);
      return (
        usages?.includes(OCSP_SIGNING) === true &&
        signer.issuer === issuer.subject &&
        validity.from <= time &&
        validity.to >= time &&
        signer.verify(issuer.publicKey) &&
        isSignedBy(signed, signer.publicKey)
      );
    });
}

/** certStatus: good [0], revoked [1] { time, reason [0] }, unknown [2]. */
function judged(answer: Element, time: Date): Staple {
  const [, status, from, ...rest] = children(answer.raw);
  const thisUpdate = timeOf(need(from));
  const until = rest.find(({ tag }) => tag === 0xa0);
  const nextUpdate = until ? timeOf(need(children(until.raw)[0])) : null;
  const times = { thisUpdate, nextUpdate };
  if (need(status).tag === 0xa1) {
    const [at, why] = children(need(status).raw);
    const reason = reasonName(why ? children(why.raw)[0]?.value[0] : 0);
    // Also after its time: a revocation is permanent.
    return { status: 'revoked', message: null, ...times, revocation: { at: timeOf(need(at)), reason }, span: null };
  }
  const staple = (kind: StapleStatus, message: string | null, span: Span | null = null): Staple => ({
    status: kind,
    message,
    ...times,
    revocation: null,
    span,
  });
  const span = spanOf(thisUpdate, nextUpdate ?? new Date(thisUpdate.getTime() + WITHOUT_END_MS));
  if (span.from > time)
    return staple('stale', `the OCSP staple is valid from ${rfc3339(thisUpdate)}; check the clock of this machine`);
  if (span.until < time) return staple('stale', `the OCSP staple was valid until ${rfc3339(span.until)}`);
  if (need(status).tag === 0x80) return staple('good', null, span);
  return staple('unknown', "the CA's responder does not know the certificate");
}
