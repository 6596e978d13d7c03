/** What ended an upstream stream, as one explanation: a late refusal of the certificate looks like a closed socket. */
import { MtlsdError } from '../../core/errors.ts';
import { alertOf } from '../../inspect/verify/alerts.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { StreamFailure } from '../upstream/stream.ts';
import { endedByAlert, endedSilently } from './refusal.ts';

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
  const presented = record && { where, ...record.client_certificate };
  if (presented && alert) return endedByAlert(presented, alert, 'the connection', data);
  if (error.kind === 'invalid') {
    const hint = record ? {} : { hint: `if this port expects TLS, use https://${where}/` };
    return new MtlsdError('RESPONSE_INVALID', `${where}: ${error.message}`, { ...data, ...hint });
  }
  // The first request on a connection whose server may still be making up its mind about our certificate.
  if (presented && error.kind === 'closed' && !responded && !reused && via?.inDoubt)
    return endedSilently(presented, data);
  // Without a record there was no TLS: a server that expects it answers plain HTTP with nothing, or with an alert.
  if (!record && !responded && !reused)
    return new MtlsdError(
      'CONNECTION_CLOSED',
      `${where} closed the connection without an answer to plain HTTP; this port may expect TLS`,
      { ...data, hint: `if it does, use https://${where}/` },
    );
  return new MtlsdError('CONNECTION_CLOSED', `${where}: ${error.message}`, data);
}
