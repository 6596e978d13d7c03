/** Decides what happens to an authority: pure, from the current store and the wish of the client. */
import type { Policy } from './store/policy.ts';
import type { CertificateChoice, StoreSnapshot, Wish } from './store/snapshot.ts';
import type { Authority } from '../core/authority.ts';
import type { CaReach } from '../core/ca-reach.ts';

export interface Decision {
  readonly action: 'intercept' | 'passthrough' | 'refuse';
  /** Why that action: `interception.passthrough lists it`. */
  readonly why: string;
  readonly choice: CertificateChoice;
  readonly policy: Policy;
  readonly generation: number;
}

/** @throws MtlsdError CLIENT_CERTIFICATE_UNKNOWN where the wish names an entry that the authority can't have */
export function decide(store: StoreSnapshot, authority: Authority, wish: Wish): Decision {
  const choice = store.chooseCertificate(authority, wish);
  const policy = store.choosePolicy(authority, wish);
  const decided = { choice, policy, generation: store.generation };
  if (store.passesThrough(authority))
    return { action: 'passthrough', why: 'interception.passthrough lists it', ...decided };
  const { mode, unmatched } = store.interception;
  if (mode === 'listed' && !store.lists(authority))
    return {
      action: 'passthrough',
      why: 'interception.mode is listed, and no certificate or rule lists it',
      ...decided,
    };
  if (mode === 'all' && choice.entry === null && unmatched !== 'intercept' && !store.lists(authority))
    return {
      action: unmatched,
      why: `interception.unmatched is ${unmatched}, and no certificate or rule lists it`,
      ...decided,
    };
  return {
    action: 'intercept',
    why: choice.entry ? 'a certificate is configured for it' : 'interception.mode is all',
    ...decided,
  };
}

/** The decision for a tunnel, where the local CA may not sign for its host: a client would refuse the leaf. */
export function withinReach(
  decision: Decision,
  authority: Authority,
  { permits, limits }: Pick<CaReach, 'permits' | 'limits'>,
  outside: 'passthrough' | 'refuse',
): Decision {
  if (decision.action !== 'intercept' || permits(authority)) return decision;
  return { ...decision, action: outside, why: `the local CA may not sign for it: ${limits}` };
}
