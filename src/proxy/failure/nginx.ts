/**
 * nginx takes a connection without a certificate, or with one that it does not trust, and answers HTTP 400 with a page of
 * its own (ngx_http_special_response.c); the response passes, and the record says what it meant.
 */
import type { ClientCertificateFacts, RecordError } from '../../inspect/records/types.ts';
import { ERROR_CODES } from '../../core/errors.ts';

const REQUIRED = 'No required SSL certificate was sent';
const REFUSED = 'The SSL certificate error';

export function refusedByNginx(body: Buffer, certificate: ClientCertificateFacts, where: string): RecordError | null {
  const code = body.includes(REQUIRED)
    ? 'CLIENT_CERTIFICATE_REQUIRED'
    : body.includes(REFUSED)
      ? 'CLIENT_CERTIFICATE_REFUSED'
      : null;
  if (!code) return null;
  const { name, outcome } = certificate;
  if (outcome === 'not_sendable')
    return {
      code,
      message: `${where} (nginx) requires a client certificate and got none, since ${name} has a key of a kind that it does not take`,
      hint: 'give this host a certificate with a key of a kind that the server takes; mtlsd probe URL shows which',
      alert: null,
    };
  const message =
    code === 'CLIENT_CERTIFICATE_REQUIRED'
      ? `${where} (nginx) requires a client certificate and got none`
      : `${where} (nginx) refused the client certificate ${name ?? ''}`.trimEnd();
  return { code, message, hint: ERROR_CODES[code].hint, alert: null };
}
