/** What a request would get, and why the others lost: the decision itself, put into plain data. */
import { type Decision, decide } from '../certs/decide.ts';
import { placeOf } from '../certs/store/compile.ts';
import type { Candidate, StoreSnapshot, Wish } from '../certs/store/snapshot.ts';
import type { Authority } from '../core/authority.ts';
import { MtlsdError } from '../core/errors.ts';
import { coversHost, coversPort, hostPortText, reasonOf } from '../core/hosts.ts';
import type { AdminContext } from './context.ts';
import type { MatchAnswer } from './schemas/match.ts';

export function explainMatch(
  store: StoreSnapshot,
  authority: Authority,
  wish: Wish,
  within: AdminContext['within'],
): MatchAnswer {
  const losers = store.explainLosers(authority, wish);
  const decided = attempt(() => within(decide(store, authority, wish), authority));
  if (decided instanceof MtlsdError) {
    const { code, message, hint } = decided;
    return {
      authority: authority.text,
      action: 'refuse',
      why: message,
      error: { code, message, hint },
      certificate: { name: null, reason: message, usable: true, problems: [], losers },
      verification: describePolicy(store, authority, store.choosePolicy(authority, wish), wish),
    };
  }
  const { action, why, choice, policy } = decided;
  const { entry, reason } = choice;
  const fault = entry && !entry.identity ? entry.problems.find(({ severity }) => severity === 'error') : undefined;
  return {
    authority: authority.text,
    action,
    why,
    error: fault
      ? { code: 'CLIENT_CERTIFICATE_UNUSABLE', message: fault.message, hint: fault.hint }
      : action === 'refuse'
        ? {
            code: 'POLICY_REFUSED',
            message: why,
            hint: why.startsWith('interception.')
              ? 'add a certificate or a rule for this host, or change interception.unmatched'
              : 'change ca.outside, or what the local CA may sign for: ca.permitted, or another ca.cert',
          }
        : null,
    certificate: {
      name: entry?.name ?? null,
      reason,
      usable: entry?.identity !== null,
      problems: entry?.problems ?? [],
      losers,
    },
    verification: describePolicy(store, authority, policy, wish),
  };
}

function describePolicy(
  store: StoreSnapshot,
  authority: Authority,
  policy: Decision['policy'],
  wish: Wish,
): MatchAnswer['verification'] {
  const winner = store.sections.verification.rules.findLastIndex((rule) => policy.rule === hostPortText(placeOf(rule)));
  return {
    mode: policy.mode,
    rule: policy.rule,
    reason:
      policy.rule === null
        ? 'no rule matches'
        : reasonOf(placeOf(store.sections.verification.rules[winner] ?? { host: '*', port: '*' })),
    override: wish.verification !== undefined,
    trust_anchors: policy.trust.certificates.length,
    allow: policy.allow,
    pins: policy.pins.map((pin) => `sha256/${pin}`),
    min_version: policy.minVersion,
    max_version: policy.maxVersion,
    server_name: policy.serverName,
    losers: losingRules(store, authority, winner),
  };
}

function losingRules({ sections }: StoreSnapshot, authority: Authority, winner: number): Candidate[] {
  const { rules } = sections.verification;
  const won = rules[winner] ? placeOf(rules[winner]) : null;
  return rules.flatMap((rule, index) => {
    const place = placeOf(rule);
    if (index === winner || !coversHost(place.host, authority)) return [];
    const name = hostPortText(place);
    if (!coversPort(place.port, authority.port)) return { name, why: `port ${place.port} is not ${authority.port}` };
    if (!won) return { name, why: 'not chosen' };
    if (place.host !== won.host) return { name, why: `${hostPortText(won)} has the closer host, ${won.host}` };
    if (place.port !== won.port) return { name, why: `${hostPortText(won)} has the exact port` };
    return { name, why: 'another rule for the same host and port comes later in the file' };
  });
}

function attempt<T>(work: () => T): T | MtlsdError {
  try {
    return work();
  } catch (error) {
    if (error instanceof MtlsdError) return error;
    throw error;
  }
}
