/** A dry run in one or two sentences. */
import type { Match } from '../api/document.ts';
import type { Verdict } from './exchange.ts';
import { sentence, shortAuthority } from './text.ts';
import { pageHint } from './hint.ts';

export function matchVerdict({ authority, action, why, error, certificate, verification }: Match): Verdict {
  const host = shortAuthority(authority);
  if (error)
    return {
      tone: 'bad',
      text: `A request for ${host} would be refused. ${sentence(error.message)} ${pageHint(error.hint)}`,
    };
  if (action === 'passthrough')
    return {
      tone: 'plain',
      text: `A connection to ${host} would pass through untouched: ${sentence(why)} No certificate is sent and nothing is verified.`,
    };
  const identity =
    certificate.name === null
      ? `${host} gets no certificate: ${sentence(certificate.reason)}`
      : `${host} gets ${certificate.name} if it asks for a certificate: ${sentence(certificate.reason)}`;
  const by = verification.rule === null ? '' : `, by the rule for ${verification.rule}`;
  const mode =
    verification.mode === 'enforce'
      ? `Its server has to pass verification${by}.`
      : `Its server is checked and not refused${by}.`;
  return { tone: certificate.name === null ? 'plain' : 'good', text: `${identity} ${mode}` };
}
