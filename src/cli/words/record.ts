/** Exchanges and connections in words: one line, and all there is. */
import type { ExchangeFields } from '../../admin/schemas/records.ts';
import type { ConnectionRecord, ExchangeRecord } from '../../inspect/records/types.ts';
import { clock, count, localTime, paint, pairs } from '../output.ts';
import { revocationText } from './revocation.ts';

type Verification = Pick<ConnectionRecord['verification'], 'authorized' | 'allowed' | 'problems' | 'mode' | 'rule'>;

/** Time, method, authority and path, status, milliseconds, certificate, verdict. */
export function exchangeLine(record: ExchangeRecord): string {
  const { method, authority, path, status, ms, certificate } = record;
  const cells = [
    paint('dim', clock(record.started)),
    method.padEnd(6),
    `${authority}${path}`,
    paint(statusColour(record), status === null ? '---' : String(status)),
    `${Math.round(ms.total)} ms`,
    certificate ?? '-',
    verdictOf(record),
  ];
  const line = cells.join('  ');
  return record.error
    ? `${line}\n          ${record.error.message}; next: ${record.error.hint}  [${record.exchange}]`
    : line;
}

function statusColour({ status, error }: ExchangeRecord): 'red' | 'yellow' | 'green' {
  if (error || status === null || status >= 500) return 'red';
  return status >= 400 ? 'yellow' : 'green';
}

export function verdictOf({
  error,
  authorized,
  allowed,
}: Pick<ExchangeRecord, 'error' | 'authorized' | 'allowed'>): string {
  if (error) return paint('red', error.code);
  if (authorized === null) return paint('dim', 'no TLS');
  if (authorized) return paint('green', 'verified');
  const why = allowed.length === 0 ? '' : `: ${count(allowed.length, 'problem')} allowed by a rule`;
  return paint('yellow', `not verified${why}`);
}

/** `verified`, or how many problems there are and what let them through. */
export function verificationText({ authorized, allowed, problems, mode, rule }: Verification): string {
  if (authorized) return paint('green', 'verified');
  const by = rule === null ? '' : ` by the rule for ${rule}`;
  const rest = problems.filter((problem) => problem.allowed !== true).length;
  const parts = [
    allowed.length === 0 ? null : `${count(problems.length - rest, 'problem')} allowed${by}`,
    rest === 0 ? null : `${count(rest, 'problem')}${mode === 'report' ? `, let through (mode report${by})` : ''}`,
  ].filter((part) => part !== null);
  const text = `not verified${parts.length === 0 ? '' : `: ${parts.join('; ')}`}`;
  return paint(rest > 0 && mode === 'enforce' ? 'red' : 'yellow', text);
}

export function exchangeText(record: ExchangeRecord, connection: ConnectionRecord | null): string {
  const { error, ms, overrides, mismatch } = record;
  const asked = Object.entries(overrides ?? {}).map(([what, value]) => `${what} ${value}`);
  const differs = Object.entries(mismatch ?? {}).map(([what, value]) => `${what} ${value}`);
  const timings = `${ms.total} ms: ${record.reused ? 'a pooled connection' : `TCP ${ms.connect}, TLS ${ms.tls}`}, waited ${ms.wait}`;
  const head = pairs([
    ['exchange', paint('bold', record.exchange)],
    [
      'request',
      `${record.method} ${record.authority}${record.path}, HTTP/${record.http}, ${record.request_bytes} bytes`,
    ],
    ['response', record.status === null ? 'none' : `${record.status}, ${record.response_bytes} bytes`],
    ['time', `${localTime(record.started)}, ${timings}`],
    ['client', record.client],
    ['asked for', asked.length === 0 ? null : asked.join(', ')],
    ['differs', differs.length === 0 ? null : `${differs.join(', ')} (recorded, never followed)`],
    ['certificate', record.certificate ?? 'none'],
    ['verdict', verdictOf(record)],
  ]);
  const failed = error && !connection?.error ? errorText(error) : '';
  return `${head}${failed}${connection ? `\n${connectionText(connection)}` : ''}`;
}

/** As curl shows them: what was sent, what came back. */
export function fieldsText({ kept, request, response }: ExchangeFields): string {
  if (!request)
    return `\nno header fields are kept for this exchange\n${kept === 'none' ? '  next: set records.fields to redacted in mtlsd.yaml and restart the daemon\n' : ''}`;
  const lines = (mark: string, head: ExchangeFields['request']): string[] => [
    ...(head?.fields ?? []).map(({ name, value }) => `${paint('dim', mark)} ${name}: ${value}`),
    ...(head && head.omitted > 0
      ? [`${paint('dim', mark)} ${count(head.omitted, 'field')} left out: more than 16 KiB`]
      : []),
  ];
  return `\n${[...lines('>', request), ...lines('<', response)].join('\n')}\n`;
}

export function connectionText(record: ConnectionRecord): string {
  const { tls, server, verification, client_certificate: own, address, error } = record;
  const [leaf] = server.chain;
  const head = pairs([
    ['connection', paint('bold', record.connection)],
    [
      'to',
      `${record.authority}${address ? ` (${address.ip})` : ''}${record.via === null ? '' : `, by way of ${record.via}`}`,
    ],
    ['TLS', tls && `${tls.protocol}, ${tls.cipher_standard_name}${tls.alpn === null ? '' : `, ${tls.alpn}`}`],
    [
      'server',
      leaf
        ? `${leaf.subject}\nissued by ${leaf.issuer}\nvalid ${leaf.not_before} to ${leaf.not_after}\nSHA-256 ${leaf.fingerprint256}`
        : 'sent no certificate',
    ],
    [
      'chain',
      server.chain.length < 2
        ? null
        : server.chain
            .slice(1)
            .map(({ subject }) => subject)
            .join('\n'),
    ],
    [
      'mode',
      `${verification.mode}${verification.rule === null ? '' : `, rule ${verification.rule}`}${verification.override ? ', asked for by the request' : ''}`,
    ],
    ['revocation', tls === null ? null : revocationText(verification.revocation)],
    ['verdict', tls === null ? null : verificationText(verification)],
    [
      'asked',
      own.requested === null
        ? 'unknown: the TLS handshake did not finish'
        : own.requested
          ? 'for a client certificate'
          : 'for no client certificate',
    ],
    ['sent', own.sent ? `${own.name} (${own.subject}), since: ${own.reason}` : `none: ${outcomeText(own)}`],
  ]);
  const problems = verification.problems.map(problemText).join('');
  return `${head}${problems}${error ? errorText(error) : ''}`;
}

export function problemText(problem: ConnectionRecord['verification']['problems'][number]): string {
  const place =
    problem.depth === null
      ? ''
      : ` at depth ${problem.depth}${problem.subject === null ? '' : ` (${problem.subject})`}`;
  const allowed = problem.allowed ? ' [allowed by the rule]' : '';
  return `\n${paint('yellow', 'problem')} ${problem.code}${place}: ${problem.message}${allowed}\n  next: ${problem.hint}\n`;
}

function errorText({ code, message, hint, alert }: NonNullable<ExchangeRecord['error']>): string {
  const alertLine = alert ? `\n  alert ${alert.number} ${alert.name}: ${alert.meaning}` : '';
  return `\n${paint('red', 'error')} ${code}: ${message}${alertLine}\n  next: ${hint}\n`;
}

function outcomeText({ outcome, name, reason }: ConnectionRecord['client_certificate']): string {
  switch (outcome) {
    case 'sent':
      return 'sent';
    case 'not_requested':
      return name === null ? 'not asked for' : `not asked for (${name} was available)`;
    case 'none_configured':
      return reason;
    case 'not_sendable':
      return `the server does not take a key like that of ${name}`;
    case 'withheld':
      return `${name} is withheld from servers that fail verification`;
    case 'unknown':
    default:
      return name === null ? 'the connection failed before' : `the connection failed before (${name} was available)`;
  }
}
