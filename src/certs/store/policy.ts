/** How a server is verified: one immutable policy per rule and mode, made when the store loads, compared by `id`. */
import { createHash, type X509Certificate } from 'node:crypto';
import { HostIndex, hostPortText } from '../../core/hosts.ts';
import type { NamedCrl } from '../../core/revocation/book.ts';
import type { TrustAnchors } from '../trust.ts';
import type { ParsedRule, ParsedSections, ParsedTrust, RevocationSetting } from './compile.ts';

export interface Policy extends Pick<ParsedRule, 'allow' | 'pins' | 'minVersion' | 'maxVersion' | 'serverName'> {
  /** Differs whenever anything that decides a verdict differs; part of the pool key. */
  readonly id: string;
  readonly mode: 'enforce' | 'report';
  /** `host:port` of the rule; null for the global policy. */
  readonly rule: string | null;
  readonly trust: TrustAnchors;
  readonly revocation: RevocationPolicy;
}

export interface RevocationPolicy {
  readonly mode: RevocationSetting;
  /** Of its CRLs, whose content changes more often than the policy. */
  readonly sources: readonly string[];
  /** Of an issuer, by the DER of its name, those available now. */
  readonly crls: (issuer: Buffer) => readonly NamedCrl[];
  /** Keeps the CAs of a verified chain, to verify CRLs with. */
  readonly learn: (issuers: readonly X509Certificate[]) => void;
}

/** A policy as written, and in both modes for requests that override the mode. */
export interface PolicyPair {
  readonly plain: Policy;
  readonly enforce: Policy;
  readonly report: Policy;
}

export interface Policies {
  readonly global: PolicyPair;
  readonly rules: HostIndex<PolicyPair>;
}

/**
 * @param anchors of the store's trust section, and of the rules that have their own
 * @param look for revocations, by the CRLs of these
 */
export function compilePolicies(
  sections: ParsedSections,
  anchors: (trust: ParsedTrust) => TrustAnchors,
  look: (mode: RevocationSetting, trusts: readonly ParsedTrust[]) => RevocationPolicy,
): Policies {
  const trust = anchors(sections.trust);
  const defaults = { allow: [], pins: [], minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', serverName: null } as const;
  const revocation = look(sections.revocation, [sections.trust]);
  const global = pairOf({ ...defaults, mode: sections.mode, rule: null, trust, revocation });
  const rules = new HostIndex<PolicyPair>();
  for (const rule of sections.rules) {
    const own = rule.trust ? anchors(rule.trust) : trust;
    const looks =
      rule.trust || rule.revocation
        ? look(rule.revocation ?? sections.revocation, [sections.trust, ...(rule.trust ? [rule.trust] : [])])
        : revocation;
    const { allow, pins, minVersion, maxVersion, serverName } = rule;
    const settings = { allow, pins, minVersion, maxVersion, serverName, mode: rule.mode ?? sections.mode };
    rules.add(rule, pairOf({ ...settings, rule: hostPortText(rule), trust: own, revocation: looks }));
  }
  return { global, rules };
}

function pairOf(policy: Omit<Policy, 'id'>): PolicyPair {
  const enforce = identified({ ...policy, mode: 'enforce' });
  const report = identified({ ...policy, mode: 'report' });
  return { plain: policy.mode === 'enforce' ? enforce : report, enforce, report };
}

function identified(policy: Omit<Policy, 'id'>): Policy {
  const { trust, revocation, ...rest } = policy;
  const id = createHash('sha256')
    .update(JSON.stringify({ ...rest, trust: trust.id, revocation: [revocation.mode, revocation.sources] }))
    .digest('base64url');
  return Object.freeze({ ...policy, id });
}
