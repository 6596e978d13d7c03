/** What ended an upstream stream, as one explanation: a late refusal of the certificate looks like a closed socket. */
import { MtlsdError } from '../../core/errors.ts';
import { alertOf, explainAlert, toldAlert } from '../../inspect/verify/alerts.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { StreamFailure } from '../upstream/stream.ts';
import { refusedSilently } from './refusal.ts';

export interface FailureContext {
  /** The authority, for the sentence. */
  readonly where: string;
  readonly via: Pick<UpstreamConnection, 'record' | 'error' | 'inDoubt'> | null;
  readonly reused: boolean;
  readonly responded: boolean;
}

export function explain(
  error: MtlsdError | StreamFailure,
  { where, via, reused, responded }: FailureContext,
): MtlsdError {
  if (error instanceof MtlsdError) return error;
  const record = via?.record ?? null;
  const data = { ...(record && { connection: record.connection }), cause: error };
  const alert = alertOf(via?.error ?? error.cause);
  if (record && alert) {
    const { requested, sent } = record.client_certificate;
    const explained = explainAlert(alert, { requested, sent });
    const about = explained.about === 'client_certificate';
    const code = !about ? 'TLS_FAILED' : sent ? 'CLIENT_CERTIFICATE_REFUSED' : 'CLIENT_CERTIFICATE_REQUIRED';
    const message = `${where} ended the connection with alert ${alert.number} ${alert.name}: ${explained.meaning}`;
    return new MtlsdError(code, message, {
      alert: toldAlert(alert, { requested, sent }),
      hint: explained.hint,
      ...data,
    });
  }
  if (error.kind === 'invalid') return new MtlsdError('RESPONSE_INVALID', `${where}: ${error.message}`, data);
  // The first request on a connection whose server may still be making up its mind about our certificate.
  if (record && error.kind === 'closed' && !responded && !reused && via?.inDoubt) {
    const { sent, name } = record.client_certificate;
    return refusedSilently(where, sent ? (name ?? 'one') : null, data);
  }
  return new MtlsdError('CONNECTION_CLOSED', `${where}: ${error.message}`, data);
}
