/** The revocation state of a server, in words. */
import type { RevocationFacts } from '../../inspect/verify/revocation.ts';
import { localTime, paint } from '../output.ts';

/** null where nothing is known and revocation is not required. */
export function revocationText(facts: RevocationFacts | null): string | null {
  if (!facts) return null;
  const { mode, status, staple, crls } = facts;
  if (mode === 'when-known' && staple.status === 'absent' && crls.length === 0) return null;
  const colour = { good: 'green', revoked: 'red', unknown: 'dim' } as const;
  const said =
    staple.status === 'good' && staple.next_update !== null
      ? `good, valid until ${localTime(staple.next_update)}`
      : staple.status === 'revoked' && staple.revoked_at !== null
        ? `revoked ${localTime(staple.revoked_at)}, reason ${staple.reason}`
        : staple.status === 'absent'
          ? 'none'
          : [staple.status, ...(staple.message === null ? [] : [staple.message])].join(': ');
  return [
    `${paint(colour[status], status)}, mode ${mode}`,
    `OCSP staple: ${said}`,
    ...crls.map((crl) => `CRL for ${crl.subject}: ${crl.message ?? `${crl.status}, as ${crl.source} says`}`),
  ].join('\n');
}
