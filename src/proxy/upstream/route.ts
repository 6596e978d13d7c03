/** Where a request goes, and how: what decides which connections may carry it. */
import type { Policy } from '../../certs/store/policy.ts';
import type { CertificateChoice, Wish } from '../../certs/store/snapshot.ts';
import type { Authority } from '../../core/authority.ts';

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
