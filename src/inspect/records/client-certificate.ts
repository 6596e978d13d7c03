/** The outcome for the client certificate, as a sentence for the answer in the origin's place. */
import type { ClientCertificateFacts, ClientCertificateOutcome } from './types.ts';

const OUTCOMES: Readonly<Record<ClientCertificateOutcome, string>> = {
  sent: 'was sent',
  not_requested: 'was not asked for',
  none_configured: 'though the server asked for one',
  not_sendable: 'was not sent, as the server takes no key of its kind',
  withheld: 'was withheld, as the server is not verified',
  unknown: 'was not sent: the TLS handshake did not finish',
};

export function certificateSentence({ outcome, name, reason }: ClientCertificateFacts): string {
  return name === null && outcome !== 'none_configured'
    ? `none (${reason})`
    : `${name ?? 'none'} ${OUTCOMES[outcome]} (${reason})`;
}
