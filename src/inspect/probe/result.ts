/** From what the handshakes showed to what a probe says. */
import { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { certificateFacts, printable } from '../../core/facts.ts';
import { tryOr } from '../../core/try-or.ts';
import { explainAlert } from '../verify/alerts.ts';
import { caNameTexts } from './handshake-fields.ts';
import { partsOf } from '../verify/path.ts';
import type { Seen } from './attempt.ts';
import type { ProbeAttempt, ProbeResult } from './result-schema.ts';
import type { Endpoint } from '../records/types.ts';

/** The server chose the version and sent at least its certificate. */
export function spoke(seen: Seen): boolean {
  return seen.version === seen.offered && (seen.outcome === 'accepted' || seen.sentByServer.length > 0);
}

export function endpointOf(seen: readonly Seen[]): Endpoint | null {
  const facts = seen.find(({ socketFacts }) => socketFacts)?.socketFacts;
  return facts ? { ...facts, family: isIPv6(facts.ip) ? 6 : 4 } : null;
}

/** Without those that can't be read. */
export function sentFacts(sent: readonly Buffer[]): Pick<ProbeResult['server'], 'sent' | 'pem'> {
  const readable = sent.flatMap((der) => tryOr(() => new X509Certificate(der), []));
  return { sent: readable.map(certificateFacts), pem: readable.map((certificate) => certificate.toString()) };
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
  const known = all.map(requestedIn).filter((requested) => requested !== null);
  const fields = all.flatMap(({ request }) => (request !== null && request !== 'none' ? [request] : []));
  const richest = fields.find(({ caNames }) => caNames.length > 0) ?? fields[0];
  const top = chain.at(-1);
  const last = top ? certificateFacts(top) : null;
  const issuers = chain.flatMap((certificate) => partsOf(certificate)?.issuer ?? []);
  return {
    requested: known.length === 0 ? null : known.includes(true),
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
