/** What is in files, and whether they are usable: for the API, and for the command line without it. */
import { dateProblems } from '../certs/identity/chain.ts';
import { type IdentitySource, loadIdentity } from '../certs/identity/load.ts';
import { daysLeft } from '../certs/store/expiry.ts';
import type { OwnCertificate, OwnRevocation } from './own-revocation.ts';
import type { InspectAnswer } from './schemas/certificate.ts';

/** @param ask what its CRL says; not asked where left out */
export async function inspectSource(
  source: IdentitySource,
  ask: (own: OwnCertificate) => Promise<OwnRevocation | null> = () => Promise.resolve(null),
): Promise<InspectAnswer> {
  const { identity, problems, file } = await loadIdentity(source);
  if (!identity) return { usable: false, facts: [], problems, days_left: null };
  const { leaf, issuer, facts } = identity;
  const next = 'get a new certificate from its CA and replace the file; the new one is used at once';
  const revocation = await ask({ leaf, issuer, file, next });
  return {
    usable: true,
    facts,
    problems: [...problems, ...dateProblems(leaf, file), ...(revocation?.problem ? [revocation.problem] : [])],
    days_left: daysLeft(leaf.validToDate),
  };
}
