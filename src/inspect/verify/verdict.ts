/**
 * From what a server showed and the policy for it, to every problem and whether to continue. Pure: no sockets, and only the time
 * that is passed in.
 *
 * Node's verify callback lets every handshake continue, and `authorizationError` is only the last problem that OpenSSL met:
 * an expired certificate of an unknown issuer reads CERT_HAS_EXPIRED alone (measured, Node 24.21). So an `allow` list can't
 * be held against that code; it is held against the whole list, made here from the chain itself.
 */
import type { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type { Problem } from '../../core/errors.ts';
import { certificateFacts, nameAttributes, printable } from '../../core/facts.ts';
import type { Span } from '../../core/revocation/signed.ts';
import { tryOr } from '../../core/try-or.ts';
import { hasUncheckedConstraints, pathFindings, strengthFindings, verified } from './checks.ts';
import { type Path, pathsFrom } from './path.ts';
import { type Finding, isAllowable, problemHint, problemMeaning } from './problems.ts';
import { type RevocationFacts, revocationOf, type RevocationRules } from './revocation.ts';

export interface Observed {
  /** Leaf first, as `peerChain` reads it. */
  readonly chain: readonly X509Certificate[];
  /** `socket.authorizationError`: OpenSSL's or Node's code; null where OpenSSL accepts the chain. */
  readonly opensslError: string | null;
  /** The name or IP address to verify: the authority's host, or the rule's server_name. */
  readonly host: string;
  /** Node itself found that the name does not match. */
  readonly wrongName?: boolean;
  /** `socket.getProtocol()` */
  readonly protocol: string;
  /** The OCSP response that the server stapled; null for none. */
  readonly staple: Buffer | null;
  readonly time?: Date;
  /** The rule's place for hints; default `host` and 443. */
  readonly authority?: { readonly host: string; readonly port: number };
}

export interface Expectation {
  readonly mode: 'enforce' | 'report';
  readonly anchors: readonly X509Certificate[];
  /** Codes let through in enforce. */
  readonly allow: readonly string[];
  /** base64 SHA-256 of SPKIs; one of them must be on the path. */
  readonly pins: readonly string[];
  readonly minVersion: string;
  readonly revocation: RevocationRules;
  /** The local CA: a server that shows a leaf of it is refused in every mode. */
  readonly refuseIssuedBy?: readonly X509Certificate[];
}

export interface Verdict {
  readonly problems: Problem[];
  /** Nothing found at all. */
  readonly authorized: boolean;
  /** Codes of the problems that `allow` let through; each once. */
  readonly allowed: readonly string[];
  /** Nothing found beyond what `allow` names. */
  readonly accepted: boolean;
  /** Accepted, or only reporting. */
  readonly proceed: boolean;
  /** The path that was verified: leaf first, the anchor last where there is one. Empty where nothing was shown. */
  readonly path: readonly X509Certificate[];
  /** null where it was not looked at. */
  readonly revocation: RevocationFacts | null;
  /** Outside of one of these, what is said of revocation would be another. */
  readonly spans: readonly Span[];
}

/** Node's own code for HOSTNAME_MISMATCH. */
const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';

/** Refused in report mode too: the certificate proves a loop or a stolen key. */
const ALWAYS_FATAL = 'LOCAL_CA_LEAF';

const VIOLATIONS = new Set(['PERMITTED_VIOLATION', 'EXCLUDED_VIOLATION']);

/** OpenSSL's names of codes that Node reports as UNSPECIFIED. */
const UNNAMED_BY_NODE = new Set([
  'EE_KEY_TOO_SMALL',
  'CA_KEY_TOO_SMALL',
  'CA_MD_TOO_WEAK',
  'EC_KEY_EXPLICIT_PARAMS',
  'UNHANDLED_CRITICAL_EXTENSION',
  'INVALID_EXTENSION',
  'KEYUSAGE_NO_CERTSIGN',
  ...VIOLATIONS,
]);

/**
 * Every problem of a server's certificate and connection, and whether to continue.
 * @throws Error where no certificate was shown, which only a resumed session does: nothing is verified then
 */
export function judge(observed: Observed, expectation: Expectation): Verdict {
  if (observed.chain.length === 0) throw new Error('the connection shows no certificate');
  // Node checks the name only once OpenSSL has accepted the chain.
  if (observed.opensslError === WRONG_NAME)
    return judge({ ...observed, opensslError: null, wrongName: true }, expectation);
  const time = observed.time ?? new Date();
  const best = bestPath(observed, expectation, time);
  const findings = [
    ...localCaFindings(observed.chain, expectation.refuseIssuedBy),
    ...best.findings,
    ...nameFindings(observed),
    ...versionFindings(observed.protocol, expectation.minVersion),
    ...pinFindings(best.path, expectation.pins),
  ];
  const { host, port } = observed.authority ?? { host: observed.host, port: 443 };
  const refusing = findings.filter((finding) => !isAllowed(finding, expectation.allow)).map(({ code }) => code);
  const codes = [...new Set(refusing)];
  const ownName = nameOf(observed.chain[0]);
  const problems = findings.map((finding): Problem => {
    const hint = problemHint(finding.code, host, port, { codes, name: ownName, version: observed.protocol });
    return { ...finding, hint, ...(isAllowed(finding, expectation.allow) ? { allowed: true } : {}) };
  });
  // Name constraints are OpenSSL's to check. Where its one code is let through, it may have hidden another; unless the rule
  // lets the very violation through.
  const constrained = best.path !== null && hasUncheckedConstraints(best.path);
  const waived = problems.some(({ code, allowed }) => allowed === true && VIOLATIONS.has(code));
  if (observed.opensslError !== null && constrained && !waived && problems.every(({ allowed }) => allowed === true)) {
    problems.push(problemOf('CONSTRAINTS_UNCHECKED', null, host, port));
  }
  if (observed.opensslError === null && best.path?.anchored)
    expectation.revocation.learn(best.path.certificates.slice(1));
  const fatal = problems.some(({ code }) => code === ALWAYS_FATAL);
  const proceed = !fatal && (isAccepted(problems) || expectation.mode === 'report');
  return {
    problems,
    authorized: problems.length === 0,
    allowed: allowedCodes(problems),
    accepted: isAccepted(problems),
    proceed,
    path: best.path?.certificates ?? [],
    revocation: best.revocation,
    spans: best.spans,
  };
}

/** Whether a rule lets every one of them through. */
export const isAccepted = (problems: readonly Problem[]): boolean => problems.every(({ allowed }) => allowed === true);

export const allowedCodes = (problems: readonly Problem[]): string[] => [
  ...new Set(problems.flatMap(({ code, allowed }) => (allowed === true ? code : []))),
];

/** The sent chain, and after it the anchor that it leads to where that was not sent: the chain as people expect it. */
export function withAnchor(sent: readonly X509Certificate[], { path }: Pick<Verdict, 'path'>): X509Certificate[] {
  const known = new Set(sent.map(({ fingerprint256 }) => fingerprint256));
  return [...sent, ...path.filter(({ fingerprint256 }) => !known.has(fingerprint256))];
}

function problemOf(code: string, depth: number | null, host: string, port: number): Problem {
  return { code, depth, subject: null, message: problemMeaning(code), hint: problemHint(code, host, port) };
}

function isAllowed({ code, depth }: Finding, allow: readonly string[]): boolean {
  if (!isAllowable(code)) return false;
  // One thing with two names: OpenSSL's depends on whether an intermediate is among the anchors.
  if (depth === 0 && LONE_LEAF.includes(code)) return LONE_LEAF.some((name) => allow.includes(name));
  return allow.includes(code);
}

const LONE_LEAF: readonly string[] = ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'];

interface Best {
  readonly path: Path | null;
  readonly findings: Finding[];
  readonly revocation: RevocationFacts | null;
  readonly spans: readonly Span[];
}

/** The path with the fewest problems that no rule lets through, since any one good path is enough (RFC 5280 §6). */
function bestPath(observed: Observed, expectation: Expectation, time: Date): Best {
  const { chain, opensslError, staple } = observed;
  let best: Best = { path: null, findings: [], revocation: null, spans: [] };
  let fewest = Number.POSITIVE_INFINITY;
  const paths = pathsFrom(chain, expectation.anchors);
  for (const path of paths) {
    // OpenSSL's acceptance is final; only strength is checked again, since its security level may be lowered.
    const accepted = opensslError === null;
    const broken = accepted && paths.length === 1 ? [] : pathFindings(path, time);
    const { findings: revoked, facts, spans } = revocationOf(path, staple, expectation.revocation, time);
    const findings = [...(accepted ? [] : broken), ...strengthFindings(path), ...revoked];
    // A path that OpenSSL can't have meant must not hide that the one it meant is revoked.
    const unmeant = accepted ? broken.length * 1000 : 0;
    const weight =
      unmeant + findings.filter((finding) => !isAllowed(finding, expectation.allow)).length + findings.length / 1000;
    if (weight < fewest) [best, fewest] = [{ path, findings, revocation: facts, spans }, weight];
    if (fewest === 0) break;
  }
  return { ...best, findings: withCodeOf(opensslError, best.findings) };
}

/** OpenSSL's verdict decides: its code is always in the list, under its own name or under the one that Node does not report. */
function withCodeOf(opensslError: string | null, findings: Finding[]): Finding[] {
  if (opensslError === null) return findings;
  if (findings.some((finding) => finding.code === opensslError)) return findings;
  if (opensslError === 'UNSPECIFIED' && findings.some((finding) => UNNAMED_BY_NODE.has(finding.code))) return findings;
  if (LONE_LEAF.includes(opensslError)) {
    const lone = findings.find((finding) => finding.depth === 0 && LONE_LEAF.includes(finding.code));
    if (lone) return findings.map((finding) => (finding === lone ? { ...finding, code: opensslError } : finding));
  }
  return [...findings, about(printable(opensslError, 100))];
}

function about(code: string, message = problemMeaning(code)): Finding {
  return { code, depth: null, subject: null, message };
}

function localCaFindings(chain: readonly X509Certificate[], cas: readonly X509Certificate[] = []): Finding[] {
  const depth = chain.findIndex((certificate) => cas.some((ca) => isOf(certificate, ca)));
  const certificate = chain[depth];
  if (!certificate) return [];
  const { subject } = certificateFacts(certificate);
  return [
    { code: 'LOCAL_CA_LEAF', depth, subject, message: `the server showed a certificate of the local CA: ${subject}` },
  ];
}

function isOf(certificate: X509Certificate, ca: X509Certificate): boolean {
  if (certificateFacts(certificate).spki256 === certificateFacts(ca).spki256) return true;
  // In doubt it is ours.
  return certificate.issuer === ca.subject && tryOr(() => verified(certificate, ca), true);
}

/** tls.checkServerIdentity is Node's own check: subjectAltName, and the common name only where there is none. */
function nameFindings({ chain, host, wrongName }: Observed): Finding[] {
  const [leaf] = chain;
  if (!leaf) return [];
  const matches = (): boolean => tls.checkServerIdentity(host, namesOf(leaf)) === undefined;
  if (wrongName !== true && tryOr(matches, false)) return [];
  const { subject, subject_name, sans } = certificateFacts(leaf);
  const names = sans.filter((san) => /^(DNS|IP):/.test(san));
  const has = names.length > 0 ? names.slice(0, MOST_NAMES) : [subject_name.common_name ?? 'no name at all'];
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const message = `the certificate is not valid for ${host}; it is only valid for ${has.join(', ')}${more}`;
  return [{ code: 'HOSTNAME_MISMATCH', depth: 0, subject, message }];
}

/** The first name of a certificate that a rule can set as server_name. */
function nameOf(leaf: X509Certificate | undefined): string | undefined {
  const name = leaf && certificateFacts(leaf).sans.find((san) => /^DNS:[a-z0-9_.-]+$/i.test(san));
  return name?.slice('DNS:'.length);
}

/** The part of Node's certificate object that it compares names with; the whole of it can't be made safely (peer-chain.ts). */
function namesOf(leaf: X509Certificate): tls.PeerCertificate {
  const names = { subject: nameAttributes(leaf.subject), subjectaltname: leaf.subjectAltName };
  return names as unknown as tls.PeerCertificate;
}

/** A shared hosting certificate has a hundred; ten are enough to see whose it is. */
const MOST_NAMES = 10;

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

function versionFindings(protocol: string, minVersion: string): Finding[] {
  if (VERSIONS.indexOf(protocol) >= Math.max(VERSIONS.indexOf(minVersion), 0)) return [];
  return [about('TLS_VERSION_TOO_LOW', `the connection uses ${protocol}; the rule asks for ${minVersion} at least`)];
}

/**
 * A pin may name any key on the path, but only as far up as signatures verify: a server may send the certificate of a
 * pinned CA that never signed its own.
 */
function pinFindings(path: Path | null, pins: readonly string[]): Finding[] {
  const [leaf] = path?.certificates ?? [];
  if (pins.length === 0 || !path || !leaf) return [];
  const seen: string[] = [];
  for (const [depth, certificate] of path.certificates.entries()) {
    const { spki256 } = certificateFacts(certificate);
    if (pins.includes(spki256)) return [];
    seen.push(`sha256/${spki256}`);
    const issuer = path.certificates[depth + 1];
    if (!issuer || !tryOr(() => verified(certificate, issuer), false)) break;
  }
  const { subject } = certificateFacts(leaf);
  return [
    { code: 'PIN_MISMATCH', depth: 0, subject, message: `no key on the path is pinned; they are ${seen.join(', ')}` },
  ];
}
