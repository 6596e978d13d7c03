/**
 * Whether the certificates along a path were revoked, by the CRLs available and by the staple of the server. OpenSSL can judge
 * CRLs too, but only of all CAs at once, and a revocation gets lost behind the code of a CRL that is missing
 * (docs/decisions/0004-revocation.md).
 */
import type { X509Certificate } from 'node:crypto';
import { demandsStaple, serialNumber, crlUrls } from '../../core/extensions.ts';
import { certificateFacts, isSelfSigned, printable, rfc3339 } from '../../core/facts.ts';
import type { NamedCrl } from '../../core/revocation/book.ts';
import { type Revocation, type Span, spanOf } from '../../core/revocation/signed.ts';
import { readStaple, type Staple, type StapleStatus } from '../../core/revocation/staple.ts';
import { type Path, partsOf } from './path.ts';
import type { Finding, ProblemCode } from './problems.ts';

/** `when-known` refuses what is known to be revoked; `required` refuses too what is not known to be good. */
export type RevocationMode = 'off' | 'when-known' | 'required';

export interface RevocationRules {
  readonly mode: RevocationMode;
  /** Those available now, of whatever issuer. */
  readonly crls: (issuer: Buffer) => readonly NamedCrl[];
  /** Takes note of the CAs of a chain that was verified, to verify CRLs with. */
  readonly learn: (issuers: readonly X509Certificate[]) => void;
}

export interface StapleFacts {
  readonly status: StapleStatus;
  readonly message: string | null;
  readonly this_update: string | null;
  readonly next_update: string | null;
  readonly revoked_at: string | null;
  readonly reason: string | null;
}

export interface CrlFacts {
  readonly depth: number;
  readonly subject: string;
  readonly status: 'good' | 'revoked' | 'unknown';
  /** The CRL that says so, as the store names it; null where none does. */
  readonly source: string | null;
  readonly message: string | null;
}

/** What a record says of revocation. */
export interface RevocationFacts {
  readonly mode: 'when-known' | 'required';
  /** good only where every certificate below the anchor is known to be. */
  readonly status: 'good' | 'revoked' | 'unknown';
  readonly staple: StapleFacts;
  /** One for each certificate below the anchor whose issuer has a CRL; for every one in mode required. */
  readonly crls: readonly CrlFacts[];
}

export interface RevocationVerdict {
  readonly findings: readonly Finding[];
  readonly facts: RevocationFacts | null;
  /** Outside of one of these it would be another. */
  readonly spans: readonly Span[];
}

const NOT_LOOKED_AT: RevocationVerdict = { findings: [], facts: null, spans: [] };

/** @param staple null where the server sent none */
export function revocationOf(path: Path, staple: Buffer | null, rules: RevocationRules, time: Date): RevocationVerdict {
  const [leaf, aboveLeaf] = path.certificates;
  if (rules.mode === 'off' || !leaf) return NOT_LOOKED_AT;
  const { mode } = rules;
  const isAnchor = path.anchored && path.certificates.length === 1;
  const stapled = readStaple(staple, leaf, aboveLeaf ?? null, time);
  const findings: Finding[] = [];
  const crls: CrlFacts[] = [];
  const spans: Span[] = [];
  let everyGood = true;
  // What is trusted by itself is trusted whatever its issuer says.
  const below = path.anchored ? path.certificates.slice(0, -1) : path.certificates;
  for (const [depth, certificate] of below.entries()) {
    const { subject } = certificateFacts(certificate);
    const finding = (code: ProblemCode, message: string): number => findings.push({ code, depth, subject, message });
    const answer = askCrls(certificate, path.certificates[depth + 1] ?? null, rules, time);
    const byStaple = depth === 0 ? stapled : null;
    const revoked = answer.revocation ?? byStaple?.revocation ?? null;
    if (revoked) finding('CERT_REVOKED', revokedText(revoked, answer.revocation ? answer.source : 'the OCSP staple'));
    const span = longest(answer.span, byStaple?.span ?? null);
    const good = !revoked && span !== null;
    everyGood &&= good;
    if (mode === 'required' && good) spans.push(span);
    if (mode === 'required' && !revoked && !good) {
      const because = depth === 0 && answer.source === null ? fromStaple(stapled) : null;
      finding(because?.code ?? answer.code, `${because?.message ?? answer.message}${where(certificate)}`);
    }
    if (mode === 'required' || answer.source !== null)
      crls.push({ depth, subject, status: answer.status, source: answer.source, message: answer.message });
  }
  if (!isAnchor && demands(leaf) && stapled.status !== 'revoked') {
    const message = `the certificate demands an OCSP staple: ${stapled.message ?? 'there is none'}`;
    if (stapled.span) spans.push(stapled.span);
    else findings.push({ code: 'OCSP_VERIFY_NEEDED', depth: 0, subject: certificateFacts(leaf).subject, message });
  }
  const revoked = findings.some(({ code }) => code === 'CERT_REVOKED');
  const status = revoked ? 'revoked' : everyGood ? 'good' : 'unknown';
  return { findings, facts: { mode, status, staple: stapleFacts(stapled), crls }, spans };
}

/** Whether a CRL available now lists a certificate of the path; for connections that were judged by older ones. */
export function isRevoked(path: readonly X509Certificate[], rules: RevocationRules): boolean {
  return path.some((certificate, depth) => {
    const issuer = path[depth + 1] ?? null;
    return issuer !== null && askCrls(certificate, issuer, rules, new Date()).status === 'revoked';
  });
}

interface Answer {
  readonly status: CrlFacts['status'];
  readonly source: string | null;
  readonly revocation: Revocation | null;
  readonly message: string | null;
  /** How long it is good; null where it is not. */
  readonly span: Span | null;
  /** What mode required says where it is not known to be good. */
  readonly code: ProblemCode;
}

export function askCrls(
  certificate: X509Certificate,
  issuer: X509Certificate | null,
  rules: Pick<RevocationRules, 'crls'>,
  time: Date,
): Answer {
  const unknown = (code: ProblemCode, message: string, source: string | null = null): Answer => ({
    status: 'unknown',
    source,
    revocation: null,
    message,
    span: null,
    code,
  });
  const parts = partsOf(certificate);
  if (!parts || !issuer || isSelfSigned(certificate))
    return unknown('UNABLE_TO_GET_CRL', 'the issuer of the certificate is not known, so no CRL speaks of it');
  const named = rules.crls(parts.issuer);
  const none = `no CRL of ${certificateFacts(issuer).subject} is at hand`;
  if (named.length === 0) return unknown('UNABLE_TO_GET_CRL', none);
  const own = newest(named.filter(({ crl }) => crl.isOf(issuer)));
  if (own.length === 0) {
    const [first] = named;
    return unknown('CRL_SIGNATURE_FAILURE', `${none}: it did not sign ${first?.source}`, first?.source ?? null);
  }
  const serial = serialNumber(certificate);
  for (const { crl, source } of own) {
    // Also one whose time is over: what was revoked stays so.
    const revocation = crl.find(serial);
    if (revocation && revocation.reason !== 'removeFromCRL') {
      const message = revokedText(revocation, source);
      return { status: 'revoked', source, revocation, message, span: null, code: 'CERT_REVOKED' };
    }
  }
  let answer = unknown('UNABLE_TO_GET_CRL', `no CRL at hand covers ${certificateFacts(certificate).subject}`);
  for (const { crl, source } of own.filter((each) => each.crl.covers(parts))) {
    const span = spanOf(crl.thisUpdate, crl.nextUpdate);
    if (span.from > time) {
      const message = `the CRL ${source} is valid from ${rfc3339(crl.thisUpdate)}, and it is ${now(time)}`;
      answer = unknown('CRL_NOT_YET_VALID', message, source);
    } else if (span.until < time) {
      const message = `the CRL ${source} was valid until ${rfc3339(crl.nextUpdate)}, and it is ${now(time)}`;
      answer = unknown('CRL_HAS_EXPIRED', message, source);
    } else return { status: 'good', source, revocation: null, message: null, span, code: 'UNABLE_TO_GET_CRL' };
  }
  return answer;
}

function longest(one: Span | null, other: Span | null): Span | null {
  if (!one || !other) return one ?? other;
  return one.until > other.until ? one : other;
}

/** Of each part of a CRL the newest: a certificate may have been taken off it. */
function newest(named: readonly NamedCrl[]): readonly NamedCrl[] {
  const byScope = new Map<string, NamedCrl>();
  for (const each of named) {
    const known = byScope.get(each.crl.scope);
    if (!known || known.crl.thisUpdate < each.crl.thisUpdate) byScope.set(each.crl.scope, each);
  }
  return [...byScope.values()];
}

export function revokedText({ at, reason }: Revocation, source: string | null): string {
  return `the certificate was revoked at ${rfc3339(at)}, reason ${reason}, as ${source} says`;
}

function fromStaple({ status, message }: Staple): { code: ProblemCode; message: string } | null {
  if (status === 'unknown') return { code: 'OCSP_CERT_UNKNOWN', message: message ?? '' };
  return status === 'stale' || status === 'invalid' ? { code: 'OCSP_VERIFY_FAILED', message: message ?? '' } : null;
}

/** The next step is to name the CRL, and the certificate says where it is. */
function where(certificate: X509Certificate): string {
  const parts = partsOf(certificate);
  try {
    const [url] = parts ? crlUrls(parts) : [];
    return url === undefined ? '' : `; the certificate names the CRL ${printable(url, 200)}`;
  } catch {
    return '';
  }
}

function demands(leaf: X509Certificate): boolean {
  const parts = partsOf(leaf);
  try {
    return parts !== null && demandsStaple(parts);
  } catch {
    return false; // damaged: the path says so
  }
}

const now = (time: Date): string => rfc3339(new Date(Math.floor(time.getTime() / 1000) * 1000));

function stapleFacts({ status, message, thisUpdate, nextUpdate, revocation }: Staple): StapleFacts {
  return {
    status,
    message: message === null ? null : printable(message, 500),
    this_update: thisUpdate && rfc3339(thisUpdate),
    next_update: nextUpdate && rfc3339(nextUpdate),
    revoked_at: revocation && rfc3339(revocation.at),
    reason: revocation?.reason ?? null,
  };
}
