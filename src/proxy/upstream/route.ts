/** Where a request goes, and how: what decides which connections may carry it. */
import type { Policy } from '../../certs/store/policy.ts';
import type { CertificateChoice, StoreSnapshot, Wish } from '../../certs/store/snapshot.ts';
import type { Authority } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';

export interface Route {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  readonly wish: Wish;
  readonly choice: CertificateChoice;
  readonly policy: Policy;
  /** Two routes share connections where their keys are equal, and nowhere else. */
  readonly key: string;
}

/** The choice is part of the key: a removed, replaced or withheld certificate is another route. */
export function routeOf(route: Omit<Route, 'key'>): Route {
  const { scheme, authority, policy, choice } = route;
  const { entry } = choice;
  const identity = entry ? `${entry.name} ${entry.withholdUnverified} ${entry.identity?.id}` : '-';
  return { ...route, key: `${scheme} ${authority.text} ${policy.id} ${identity}` };
}

/** Whether a store decides as the one did that this route came of. */
export function stillDecided({ scheme, authority, wish, choice, key }: Route, next: StoreSnapshot): boolean {
  if (scheme === 'http') return true; // no identity and no policy
  try {
    const chosen = next.chooseCertificate(authority, wish);
    // A route without a certificate because a page of another site asked stays one without.
    const again = choice.withheld ? { ...chosen, entry: null } : chosen;
    return routeOf({ scheme, authority, wish, choice: again, policy: next.choosePolicy(authority, wish) }).key === key;
  } catch {
    return false; // the entry that it asked for by name is gone
  }
}

/** @throws MtlsdError CLIENT_CERTIFICATE_UNUSABLE where the entry could not be loaded: mtlsd fails closed, before any dial */
export function requireUsable({ authority, choice: { entry } }: Route): void {
  if (entry === null || entry.identity !== null) return;
  const problem = entry.problems.find(({ severity }) => severity === 'error');
  throw new MtlsdError(
    'CLIENT_CERTIFICATE_UNUSABLE',
    `the certificate ${entry.name} for ${authority.text} can't be used: ${problem?.message ?? 'it could not be loaded'}; nothing was sent to the server`,
    { nothingSent: true, ...(problem && { hint: problem.hint }) },
  );
}
