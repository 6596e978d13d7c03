/** Why a server ended a handshake, or just after it: with an alert, or without a word, which has to be guessed. */
import { type ErrorData, MtlsdError, nativeCode } from '../../core/errors.ts';
import { alertOf, explainAlert, toldAlert } from '../../inspect/verify/alerts.ts';
import type { Verdict } from '../../inspect/verify/verdict.ts';
import { classify } from './classify.ts';
import type { HandshakeFailure } from '../../tls/handshake.ts';
import type { RecordDraft } from '../upstream/record-draft.ts';

/** Why a handshake, or the time just after it, failed. */
export function handshakeError(draft: RecordDraft, failure: HandshakeFailure): MtlsdError {
  const { where, name, requested, sent } = draft;
  if (failure === 'timeout') return new MtlsdError('TLS_TIMEOUT', `${where} did not finish the TLS handshake in time`);
  if (failure === 'stopped')
    return new MtlsdError(
      'CONNECTION_CLOSED',
      `the connection to ${where} was given up: nothing waits for it any more`,
    );
  const alert = failure === 'closed' ? null : alertOf(failure);
  const cause = failure === 'closed' ? {} : { cause: failure };
  if (alert) {
    const explained = explainAlert(alert, { requested, sent });
    const told = { alert: toldAlert(alert, { requested, sent }), ...cause };
    const ended = `${where} ended the TLS handshake with alert ${alert.number} ${alert.name}`;
    if (explained.about !== 'client_certificate')
      return new MtlsdError('TLS_FAILED', `${ended}: ${explained.meaning}`, { hint: explained.hint, ...told });
    if (draft.mismatch) return notSendable(draft, ended, told);
    if (draft.withheld) return withheld(draft, ended, told);
    const code = sent ? 'CLIENT_CERTIFICATE_REFUSED' : 'CLIENT_CERTIFICATE_REQUIRED';
    return new MtlsdError(code, `${ended}: ${explained.meaning}`, { hint: explained.hint, ...told });
  }
  const silent = failure === 'closed' || ['ECONNRESET', 'EPIPE'].includes(nativeCode(failure) ?? '');
  if (silent && requested === true) {
    const closed = `${where} closed the connection without a word`;
    if (draft.mismatch) return notSendable(draft, closed, cause);
    if (draft.withheld) return withheld(draft, closed, cause);
    return refusedSilently(where, sent ? (name ?? 'one') : null, cause);
  }
  return classify(failure === 'closed' ? new Error('the connection ended') : failure, 'tls', where);
}

/** @param sent the name of the entry whose certificate was sent, null for none */
export function refusedSilently(where: string, sent: string | null, data: ErrorData = {}): MtlsdError {
  return sent === null
    ? new MtlsdError(
        'CLIENT_CERTIFICATE_REQUIRED',
        `${where} asked for a client certificate, got none, and closed without a word; it probably requires one`,
        data,
      )
    : new MtlsdError(
        'CLIENT_CERTIFICATE_REFUSED',
        `${where} asked for a client certificate, was sent ${sent}, and closed without a word; it probably refused it`,
        data,
      );
}

function notSendable(draft: RecordDraft, ended: string, data: ErrorData): MtlsdError {
  const { ours, takes } = draft.mismatch ?? { ours: '', takes: '' };
  return new MtlsdError(
    'CLIENT_CERTIFICATE_REQUIRED',
    `${ended}: it asked for a client certificate and got none, since ${draft.name} has a key that it does not take: ours is ${ours}, it takes ${takes}`,
    {
      ...data,
      hint: `give this host a certificate with a key of a kind that it takes (${takes}): mtlsd cert add`,
    },
  );
}

function withheld(draft: RecordDraft, ended: string, data: ErrorData): MtlsdError {
  return new MtlsdError(
    'CLIENT_CERTIFICATE_REQUIRED',
    `${ended}: it asked for a client certificate, and ${draft.name} was withheld, as the server is not verified`,
    {
      ...data,
      problems: draft.problems,
      hint: `fix what verification finds: mtlsd probe URL shows it; or set withhold_unverified: false for ${draft.name}`,
    },
  );
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
