/** How a server is verified: one immutable policy per rule and mode, made when the store loads, compared by `id`. */
import { createHash } from 'node:crypto';
import { HostIndex, hostPortText } from '../../core/hosts.ts';
import type { TrustAnchors } from '../trust.ts';
import type { ParsedRule, ParsedSections, ParsedTrust } from './compile.ts';

export interface Policy {
  /** Differs whenever anything that decides a verdict differs; part of the pool key. */
  readonly id: string;
  readonly mode: 'enforce' | 'report';
  /** `host:port` of the rule; null for the global policy. */
  readonly rule: string | null;
  readonly trust: TrustAnchors;
  /** Problem codes let through in enforce. */
  readonly allow: readonly string[];
  /** base64 SHA-256 of SPKIs, without the `sha256/` in front; empty for none. */
  readonly pins: readonly string[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3' | 'TLSv1.1' | 'TLSv1';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Sent as SNI and verified in place of the authority's host. */
  readonly serverName: string | null;
}

/** A policy as written, and in both modes for requests that ask for one. */
export interface PolicyPair {
  readonly plain: Policy;
  readonly enforce: Policy;
  readonly report: Policy;
}

export interface Policies {
  readonly global: PolicyPair;
  readonly rules: HostIndex<PolicyPair>;
}

/** @param anchors of the store's trust section, and of the rules that have their own */
export function compilePolicies(sections: ParsedSections, anchors: (trust: ParsedTrust) => TrustAnchors): Policies {
  const trust = anchors(sections.trust);
  const defaults = { allow: [], pins: [], minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', serverName: null } as const;
  const global = pairOf({ ...defaults, mode: sections.mode, rule: null, trust });
  const rules = new HostIndex<PolicyPair>();
  for (const rule of sections.rules) {
    rules.add(rule, pairOf(policyOf(rule, sections.mode, rule.trust ? anchors(rule.trust) : trust)));
  }
  return { global, rules };
}

function policyOf(rule: ParsedRule, mode: Policy['mode'], trust: TrustAnchors): Omit<Policy, 'id'> {
  const { allow, pins, minVersion, maxVersion, serverName } = rule;
  return { mode: rule.mode ?? mode, rule: hostPortText(rule), trust, allow, pins, minVersion, maxVersion, serverName };
}

function pairOf(policy: Omit<Policy, 'id'>): PolicyPair {
  const enforce = identified({ ...policy, mode: 'enforce' });
  const report = identified({ ...policy, mode: 'report' });
  return { plain: policy.mode === 'enforce' ? enforce : report, enforce, report };
}

function identified(policy: Omit<Policy, 'id'>): Policy {
  const { trust, ...rest } = policy;
  const id = createHash('sha256')
    .update(JSON.stringify({ ...rest, trust: trust.id }))
    .digest('base64url');
  return Object.freeze({ ...policy, id });
}
