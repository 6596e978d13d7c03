/** Rules of verification by their place. */
import { authorityOf } from '../core/authority.ts';
import { canonicalPattern, type HostPort, hostPortText } from '../core/hosts.ts';
import { placeOf } from '../certs/store/compile.ts';
import type { RuleFields } from '../certs/store/schema.ts';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import { AdminError } from './problem.ts';

/** @throws AdminError 400 */
export function placeAt(host: string, port: number | '*'): HostPort {
  const canonical = canonicalPattern(host);
  if (canonical !== null) return { host: canonical, port };
  throw new AdminError(
    'BAD_REQUEST',
    `invalid host ${JSON.stringify(host)}`,
    'give an exact name, "*.suffix", "*" or an IP address',
  );
}

/** The rule of this place, or the broader one that applies to it now: a new rule starts from a copy of it. */
export function ruleFor(store: StoreSnapshot, place: HostPort): RuleFields | undefined {
  const own = ruleAt(store, place);
  if (own || place.port === '*' || place.host.startsWith('*')) return own;
  const { rule } = store.choosePolicy(authorityOf(place.host, place.port));
  const broader = store.sections.verification.rules.findLast((each) => hostPortText(placeOf(each)) === rule);
  return broader && { ...broader, ...place };
}

/** Of several, the last applies. */
export function ruleAt({ sections }: StoreSnapshot, { host, port }: HostPort): RuleFields | undefined {
  return sections.verification.rules.findLast(
    (rule) => canonicalPattern(rule.host) === host && (rule.port ?? 443) === port,
  );
}
