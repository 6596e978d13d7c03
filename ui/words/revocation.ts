/** What CRLs and the OCSP staple say of a server. */
import type { Connection } from '../api/document.ts';

type Facts = Connection['verification']['revocation'];

/** One line each: the staple, and every CRL that speaks of a certificate of the chain. */
export function revocationLines(facts: Facts): string[] {
  if (facts === null) return [];
  const { mode, staple, crls } = facts;
  const until = staple.next_update === null ? '' : `, valid until ${staple.next_update}`;
  const stapled = {
    good: `good, by the OCSP staple of the server${until}`,
    revoked: `revoked at ${staple.revoked_at}, reason ${staple.reason}, by the OCSP staple of the server`,
    absent: null,
    unknown: staple.message,
    stale: staple.message,
    invalid: staple.message,
  }[staple.status];
  const lines = crls.map(({ subject, status, source, message }) => message ?? `${subject}: ${status}, by ${source}`);
  const all = [...(stapled === null ? [] : [stapled]), ...lines];
  const nothing =
    mode === 'required' ? ['not known: the server sent no OCSP staple, and no CRL covers its certificate'] : [];
  return all.length === 0 ? nothing : all;
}
