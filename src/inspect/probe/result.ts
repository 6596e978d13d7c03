/** What a probe says: plain data, and how it is made of what the handshakes showed. */
import { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Problem } from '../../core/errors.ts';
import { type CertificateFacts, certificateFacts, printable } from '../../core/facts.ts';
import { explainAlert } from '../verify/alerts.ts';
import { caNameTexts } from './handshake-fields.ts';
import { partsOf } from '../verify/path.ts';
import type { RevocationFacts } from '../verify/revocation.ts';
import type { Outcome, Seen, TlsVersion } from './attempt.ts';
import type { Endpoint } from '../records/types.ts';

export interface ProbeAttempt {
  readonly version: TlsVersion;
  readonly certificate: 'none' | 'ours';
  readonly outcome: Outcome;
  /** Whether the server asked for a client certificate; null where it ended before that could be told. */
  readonly requested: boolean | null;
  /** Whether ours was in the handshake: false too where the server takes no key of its type. */
  readonly sent: boolean | null;
  readonly cipher: string | null;
  readonly alpn: string | null;
  readonly alert: {
    readonly number: number;
    readonly name: string;
    readonly meaning: string;
    readonly hint: string;
  } | null;
  readonly error: string | null;
  readonly ms: number;
}

export interface ProbeResult {
  readonly authority: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly address: Endpoint | null;
  readonly server_name: string | null;
  readonly attempts: readonly ProbeAttempt[];
  /** All four, newest first. */
  readonly versions: readonly { readonly version: TlsVersion; readonly offered: boolean }[];
  /** IANA names, in the order in which the server took them; empty where it was not asked. */
  readonly ciphers: readonly { readonly version: TlsVersion; readonly suites: readonly string[] }[];
  /** Of `h2` and `http/1.1`, those that the server speaks by ALPN. */
  readonly alpn: readonly string[];
  readonly server: {
    /** Leaf first, with the anchor where it is known. */
    readonly chain: readonly CertificateFacts[];
    /** Exactly what the server sent, in its order. */
    readonly sent: readonly CertificateFacts[];
    /** The same, as PEM. */
    readonly pem: readonly string[];
  };
  readonly verification: {
    /** False where no handshake came far enough for OpenSSL's verdict, and the certificates alone were looked at. */
    readonly complete: boolean;
    readonly mode: 'enforce' | 'report';
    readonly authorized: boolean;
    readonly allowed: readonly string[];
    readonly problems: readonly Problem[];
    /** null where it was not looked at. */
    readonly revocation: RevocationFacts | null;
  };
  readonly client_certificate: {
    readonly requested: boolean | null;
    /** Whether the handshake fails without one; null where that could not be told. */
    readonly required: boolean | null;
    /** CAs that the server names; none named means any. */
    readonly ca_names: readonly string[];
    readonly signature_algorithms: readonly string[];
    readonly certificate_types: readonly string[];
    /** Whether an issuer of ours is among the names; null without certificate or names. */
    readonly issuer_named: boolean | null;
    /** Who issued the last certificate of ours; null for a self-signed one, and without ours. */
    readonly issuer: string | null;
    /** What became of ours; null where there is none. */
    readonly ours: Outcome | null;
  };
  /** Why nothing could be learnt; null where any handshake got an answer. */
  readonly error: string | null;
}

/** The server chose the version and got as far as its certificate, whatever came of it then. */
export function spoke(seen: Seen): boolean {
  return seen.version === seen.offered && (seen.outcome === 'accepted' || seen.sentByServer.length > 0);
}

export function endpointOf(seen: readonly Seen[]): Endpoint | null {
  const facts = seen.find(({ socketFacts }) => socketFacts)?.socketFacts;
  return facts ? { ...facts, family: isIPv6(facts.ip) ? 6 : 4 } : null;
}

/** Without those that can't be read. */
export function sentFacts(sent: readonly Buffer[]): Pick<ProbeResult['server'], 'sent' | 'pem'> {
  const readable = sent.flatMap((der) => {
    try {
      const certificate = new X509Certificate(der);
      return { facts: certificateFacts(certificate), pem: certificate.toString() };
    } catch {
      return [];
    }
  });
  return { sent: readable.map(({ facts }) => facts), pem: readable.map(({ pem }) => pem) };
}

export function attemptFacts(seen: Seen): ProbeAttempt {
  const requested = requestedIn(seen);
  const explained = seen.alert && explainAlert(seen.alert, { requested, sent: seen.certificateSent === true });
  return {
    version: seen.offered,
    certificate: seen.ours ? 'ours' : 'none',
    outcome: seen.outcome,
    requested,
    sent: seen.certificateSent,
    cipher: seen.cipher,
    alpn: seen.alpn,
    alert: seen.alert && explained && { ...seen.alert, meaning: explained.meaning, hint: explained.hint },
    error: seen.error && printable(seen.error.message.trim(), 500),
    ms: Math.round(seen.ms * 10) / 10,
  };
}

function requestedIn({ request }: Seen): boolean | null {
  return request === null ? null : request !== 'none';
}

export function clientCertificate(
  bare: readonly Seen[],
  withOurs: readonly Seen[],
  chain: readonly X509Certificate[],
): ProbeResult['client_certificate'] {
  const all = [...bare, ...withOurs];
  const told = all.map(requestedIn).filter((requested) => requested !== null);
  const fields = all.flatMap(({ request }) => (request !== null && request !== 'none' ? [request] : []));
  const richest = fields.find(({ caNames }) => caNames.length > 0) ?? fields[0];
  const top = chain.at(-1);
  const last = top ? certificateFacts(top) : null;
  const issuers = chain.flatMap((certificate) => partsOf(certificate)?.issuer ?? []);
  return {
    requested: told.length === 0 ? null : told.includes(true),
    required: requiredBy(bare),
    ca_names: richest ? caNameTexts(richest) : [],
    signature_algorithms: fields[0]?.signatureAlgorithms ?? [],
    certificate_types: fields.find(({ certificateTypes }) => certificateTypes.length > 0)?.certificateTypes ?? [],
    issuer_named:
      richest && richest.caNames.length > 0 && issuers.length > 0
        ? richest.caNames.some((name) => issuers.some((issuer) => issuer.equals(name)))
        : null,
    issuer: last && !last.self_signed ? last.issuer : null,
    ours:
      withOurs.find(({ outcome }) => outcome === 'accepted')?.outcome ??
      withOurs.find(({ version }) => version !== null)?.outcome ??
      null,
  };
}

/** Decided by the newest version that got as far as asking. */
function requiredBy(bare: readonly Seen[]): boolean | null {
  for (const seen of bare) {
    const requested = requestedIn(seen);
    if (requested === false) return false;
    if (requested === true && seen.outcome !== 'timeout') return seen.outcome !== 'accepted';
  }
  return null;
}
