/** What happened, in sentences; and what to do about it. Pure, so that each case is a test. */
import type { CertificateFacts, Connection, Exchange } from '../api/document.ts';
import { hasFailed, hostOf, portOf } from './filter.ts';
import { duration, listed, sentence, shortAuthority } from './text.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'plain';

export interface Verdict {
  readonly tone: Tone;
  readonly text: string;
}

/** The cell of the list. */
export function verdictOf({ error, authorized, allowed }: Exchange): Verdict {
  if (error) return { tone: 'bad', text: codeWords(error.code) };
  if (authorized === null) return { tone: 'plain', text: 'no TLS' };
  if (authorized) return { tone: 'good', text: 'verified' };
  const problems = allowed.length === 1 ? '1 problem' : `${allowed.length} problems`;
  return { tone: 'warn', text: allowed.length === 0 ? 'not verified' : `not verified: ${problems} allowed by a rule` };
}

export function statusTone(record: Exchange): Tone {
  if (hasFailed(record) || record.status === null) return 'bad';
  return record.status >= 400 ? 'warn' : 'plain';
}

/** `CLIENT_CERTIFICATE_REQUIRED` -> `client certificate required` */
export const codeWords = (code: string): string =>
  code
    .toLowerCase()
    .replaceAll('_', ' ')
    .replace(/\btls\b/g, 'TLS')
    .replace(/\bdns\b/g, 'DNS');

/** The sentences at the top of the drawer. */
export function whatHappened(record: Exchange, connection: Connection | null): string {
  const host = shortAuthority(record.authority);
  const { error } = record;
  if (error) return failureSentence(record, connection, host);
  const answered = `${host} answered ${record.status ?? 'nothing'} in ${duration(record.ms.total)}.`;
  if (!connection) return record.authorized === null ? `${answered} The connection has no TLS.` : answered;
  return `${answered} ${certificateSentence(connection)} ${verificationSentence(connection)}`;
}

function failureSentence(record: Exchange, connection: Connection | null, host: string): string {
  const { code = '', message = '' } = record.error ?? {};
  const name = record.certificate ?? connection?.client_certificate.name;
  switch (code) {
    case 'CLIENT_CERTIFICATE_REQUIRED':
      return name == null
        ? `${host} requires a client certificate, and no entry matches this host.`
        : `${host} requires a client certificate, and ${name} was not sent. ${sentence(message)}`;
    case 'CLIENT_CERTIFICATE_REFUSED':
      return `${host} refused the certificate ${name ?? 'that was sent'}. ${sentence(message)}`;
    case 'CLIENT_CERTIFICATE_UNUSABLE':
      return `The request was not sent: the certificate ${name ?? 'for this host'} can't be loaded. ${sentence(message)}`;
    case 'SERVER_CERTIFICATE_REJECTED': {
      const [first] = connection?.verification.problems.filter(({ allowed }) => allowed !== true) ?? [];
      return `The request was not sent: ${host} failed verification. ${sentence(first?.message ?? message)}`;
    }
    default:
      return sentence(message);
  }
}

function certificateSentence({ client_certificate: own }: Connection): string {
  switch (own.outcome) {
    case 'sent':
      return `The certificate ${own.name} was sent.`;
    case 'not_requested':
      return own.name === null
        ? 'It did not ask for a client certificate.'
        : `It did not ask for a client certificate, so ${own.name} was not sent.`;
    case 'none_configured':
      return 'It asked for a client certificate; none was sent, because no entry matches.';
    case 'not_sendable':
      return `It does not take a key like that of ${own.name}, so no certificate was sent.`;
    case 'withheld':
      return `The certificate ${own.name} was withheld.`;
    default:
      return 'Whether a client certificate was asked for is unknown.';
  }
}

function verificationSentence({ verification }: Connection): string {
  const { authorized, problems, mode, rule } = verification;
  if (authorized) return 'The server is verified.';
  const codes = listed([...new Set(problems.map(({ code }) => codeWords(code)))]);
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  if (problems.every(({ allowed }) => allowed === true))
    return `The server is not verified: ${count} allowed by the rule for ${rule} (${codes}).`;
  const why = `the mode is ${mode}${rule === null ? '' : ` for ${rule}`}`;
  return `The server failed verification: ${count} (${codes}). The request was sent because ${why}.`;
}

export type Step =
  | { readonly kind: 'add-certificate'; readonly host: string; readonly port: number }
  | { readonly kind: 'trust-ca'; readonly candidate: CertificateFacts | null }
  | { readonly kind: 'report-host' }
  | { readonly kind: 'open-entry'; readonly name: string }
  | { readonly kind: 'probe' };

/** Problems that go away when the right CA is trusted. */
const UNKNOWN_CA = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Buttons, the likeliest first. */
export function nextSteps(record: Exchange, connection: Connection | null): Step[] {
  const steps: Step[] = [];
  const code = record.error?.code;
  const own = connection?.client_certificate;
  const name = record.certificate ?? own?.name ?? null;
  const place = { host: hostOf(record.authority), port: portOf(record.authority) };
  if (code === 'CLIENT_CERTIFICATE_REQUIRED' && name === null) steps.push({ kind: 'add-certificate', ...place });
  if (code === 'CLIENT_CERTIFICATE_REFUSED') {
    if (name !== null) steps.push({ kind: 'open-entry', name });
    steps.push({ kind: 'add-certificate', ...place });
  }
  if (code === 'CLIENT_CERTIFICATE_UNUSABLE' && name !== null) steps.push({ kind: 'open-entry', name });
  const problems = connection?.verification.problems ?? [];
  if (problems.some((problem) => UNKNOWN_CA.has(problem.code)))
    steps.push({ kind: 'trust-ca', candidate: anchorOf(connection?.server.chain ?? []) });
  if (code === 'SERVER_CERTIFICATE_REJECTED') steps.push({ kind: 'report-host' });
  if (connection || (record.error && code !== 'POLICY_REFUSED')) steps.push({ kind: 'probe' });
  return steps;
}

/** The highest certificate that the server showed, where it could be a trust anchor. */
function anchorOf(chain: readonly CertificateFacts[]): CertificateFacts | null {
  const top = chain.at(-1);
  return top && (top.ca || top.self_signed) ? top : null;
}

export interface Part {
  readonly name: string;
  readonly ms: number;
}

/**
 * Where the time went, in order; nothing for what was not needed or not measured. A pooled connection has no set-up. What
 * the parts leave of the total is the body, or `rest` where the record does not say.
 */
export function timingParts(record: Exchange, connection: Connection | null): Part[] {
  const { ms, reused } = record;
  const setUp: Part[] =
    reused || !connection
      ? []
      : [
          { name: 'DNS', ms: connection.ms.dns },
          { name: 'TCP', ms: connection.ms.connect },
          { name: 'TLS', ms: connection.ms.tls },
          { name: 'settle', ms: connection.ms.settle },
        ];
  const parts = [...setUp, { name: 'waiting', ms: ms.wait }];
  const body = (ms as { readonly body?: number }).body;
  if (body !== undefined) return used([...parts, { name: 'body', ms: body }]);
  const known = parts.reduce((sum, part) => sum + part.ms, 0);
  return used([...parts, { name: 'rest', ms: Math.round(Math.max(0, ms.total - known) * 10) / 10 }]);
}

const used = (parts: readonly Part[]): Part[] => parts.filter((part) => part.ms > 0);
