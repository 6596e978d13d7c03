/** What is in files, and whether they are usable: for the API, and for the command line without it. */
import { dateProblems } from '../certs/identity/chain.ts';
import { type IdentitySource, loadIdentity } from '../certs/identity/load.ts';
import { daysLeft } from '../certs/store/expiry.ts';
import type { InspectAnswer } from './schemas/certificate.ts';

export async function inspectSource(source: IdentitySource): Promise<InspectAnswer> {
  const { identity, problems, file } = await loadIdentity(source);
  const leaf = identity?.leaf;
  return {
    usable: identity !== null,
    facts: identity?.facts ?? [],
    problems: leaf ? [...problems, ...dateProblems(leaf, file)] : problems,
    days_left: leaf ? daysLeft(leaf.validToDate) : null,
  };
}
