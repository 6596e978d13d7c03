/** A probe in one sentence. */
import type { Probe } from '../api/document.ts';
import type { Verdict } from './exchange.ts';
import { shortAuthority } from './text.ts';

/** Whether a request would get through, as far as TLS decides it. */
export function probeVerdict({
  authority,
  error,
  verification,
  client_certificate: own,
  certificate,
  attempts,
}: Probe): Verdict {
  const host = shortAuthority(authority);
  if (error !== null) return { tone: 'bad', text: `${host} can't be reached.` };
  if (!certificate.usable)
    return { tone: 'bad', text: `A request would fail: the certificate ${certificate.name} can't be loaded.` };
  if (own.ours !== null && own.ours !== 'accepted') {
    const alert = attempts.find((attempt) => attempt.certificate === 'ours' && attempt.alert !== null)?.alert;
    return {
      tone: 'bad',
      text: `A request would fail: ${host} refuses ${certificate.name}${alert ? ` (${alert.meaning})` : ''}.`,
    };
  }
  if (own.required === true && own.ours === null)
    return { tone: 'bad', text: `A request would fail: ${host} requires a client certificate, and no entry matches.` };
  if (verification.mode === 'enforce' && verification.problems.some(({ allowed }) => allowed !== true))
    return { tone: 'bad', text: `A request would fail: ${host} fails verification.` };
  const sent = certificate.name !== null && own.requested === true ? ` with the certificate ${certificate.name}` : '';
  if (!verification.authorized)
    return { tone: 'warn', text: `A request would get through${sent}. ${host} is not verified.` };
  return { tone: 'good', text: `A request would get through${sent}. ${host} is verified.` };
}
