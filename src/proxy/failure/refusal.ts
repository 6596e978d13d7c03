/** Why a server ended a connection that it asked for a certificate on: with an alert, or without a word, which has to be guessed. */
import { type Alert, ERROR_CODES, type ErrorData, MtlsdError, nativeCode, type Problem } from '../../core/errors.ts';
import { alertOf, explainAlert, toldAlert } from '../../inspect/verify/alerts.ts';
import type { Verdict } from '../../inspect/verify/verdict.ts';
import type { HandshakeFailure } from '../../tls/handshake.ts';
import { classify } from './classify.ts';

/** What became of our certificate on that connection. */
export interface Presented {
  /** The authority, for the sentence. */
  readonly where: string;
  /** Of the entry; null for none. */
  readonly name: string | null;
  readonly requested: boolean | null;
  readonly sent: boolean;
  /** Who issued the last certificate of ours; null for a self-signed one, and for none. */
  readonly issuer: string | null;
  /** The server takes no key of the kind that we have. */
  readonly mismatch?: { readonly ours: string; readonly takes: string } | null;
  /** It was kept back, as the server is not verified. */
  readonly withheld?: boolean;
  readonly problems?: readonly Problem[];
}

/** Why a handshake, or the time just after it, failed. */
export function handshakeError(presented: Presented, failure: HandshakeFailure): MtlsdError {
  const { where, requested } = presented;
  if (failure === 'timeout') return new MtlsdError('TLS_TIMEOUT', `${where} did not finish the TLS handshake in time`);
  if (failure === 'stopped')
    return new MtlsdError('CONNECTION_CLOSED', `the connection to ${where} was given up: no request waits for it`);
  const alert = failure === 'closed' ? null : alertOf(failure);
  const cause = failure === 'closed' ? {} : { cause: failure };
  if (alert) return endedByAlert(presented, alert, 'the TLS handshake', cause);
  const silent = failure === 'closed' || ['ECONNRESET', 'EPIPE'].includes(nativeCode(failure) ?? '');
  if (silent && requested === true) return endedSilently(presented, cause);
  return classify(failure === 'closed' ? new Error('the connection ended') : failure, 'tls', where);
}

/** @param what it ended: `the TLS handshake` */
export function endedByAlert(presented: Presented, alert: Alert, what: string, data: ErrorData = {}): MtlsdError {
  const { about, meaning, hint } = explainAlert(alert, presented);
  const told = { hint, alert: toldAlert(alert, presented), ...data };
  const ended = `${presented.where} ended ${what} with alert ${alert.number} ${alert.name}`;
  if (about !== 'client_certificate') return new MtlsdError('TLS_FAILED', `${ended}: ${meaning}`, told);
  return notAccepted(presented, ended, `${ended}: ${meaning}`, told);
}

/** A server that asked for a certificate, and closed just after it got our answer. */
export function endedSilently(presented: Presented, data: ErrorData = {}): MtlsdError {
  const { where, name, sent } = presented;
  const answer = sent ? `was sent ${name ?? 'one'}` : 'got none';
  const guess = sent ? 'refused it' : 'requires one';
  return notAccepted(
    presented,
    `${where} closed the connection without a word`,
    `${where} asked for a client certificate, ${answer}, and closed without a word; it probably ${guess}`,
    data,
  );
}

/** From what became of our certificate to the code. @param sentence where nothing is known better than the server's own word */
function notAccepted(
  { name, sent, issuer, mismatch, withheld, problems = [] }: Presented,
  ended: string,
  sentence: string,
  data: ErrorData,
): MtlsdError {
  if (mismatch)
    return new MtlsdError(
      'CLIENT_CERTIFICATE_REQUIRED',
      `${ended}: it asked for a client certificate and got none, since ${name} has a key that it does not take: ours is ${mismatch.ours}, it takes ${mismatch.takes}`,
      {
        ...data,
        hint: `give this host a certificate with a key of a kind that it takes (${mismatch.takes}): mtlsd cert add HOST --cert FILE --key FILE`,
      },
    );
  if (withheld)
    return new MtlsdError(
      'CLIENT_CERTIFICATE_REQUIRED',
      `${ended}: it asked for a client certificate, and ${name} was withheld, as the server is not verified`,
      {
        ...data,
        problems,
        hint: `fix what verification finds: mtlsd probe URL shows it; or set withhold_unverified: false for ${name}`,
      },
    );
  if (!sent) return new MtlsdError('CLIENT_CERTIFICATE_REQUIRED', sentence, data);
  const { hint = ERROR_CODES.CLIENT_CERTIFICATE_REFUSED.hint } = data;
  // A server that knows the root alone can't check a chain whose intermediate it was not sent.
  const gap =
    issuer === null
      ? ''
      : `; what was sent ends with a certificate issued by ${issuer}: if that is an intermediate CA, add its certificate to the file`;
  return new MtlsdError('CLIENT_CERTIFICATE_REFUSED', sentence, { ...data, hint: `${hint}${gap}` });
}

export function rejected(where: string, verdict: Verdict): MtlsdError {
  const counted = verdict.problems.filter((problem) => !problem.allowed);
  const [first] = counted;
  const more = counted.length > 1 ? ` (and ${counted.length - 1} more)` : '';
  return new MtlsdError(
    'SERVER_CERTIFICATE_REJECTED',
    `the certificate of ${where} was rejected: ${first?.message ?? 'OpenSSL refused it'}${more}`,
    { problems: verdict.problems, ...(first && { hint: first.hint }) },
  );
}
