/** Verification, trust and interception: each setting with its effect in a sentence. */
import type { Operations } from '../api/document.ts';
import { listed } from './text.ts';

type Rule = NonNullable<Operations['showVerification']['answer']['rules']>[number];

export const MODE_EFFECT = {
  enforce: 'A server that fails verification gets no request: the client receives a 502 that says why.',
  report: 'Every server is checked and every problem is recorded, but the request is sent with any result.',
} as const;

export const INTERCEPTION_EFFECT = {
  all: 'mtlsd answers TLS for every host, so it can present certificates and record what happens.',
  listed: 'mtlsd answers TLS only for hosts with a certificate or a rule. All others pass through untouched.',
} as const;

export const UNMATCHED_EFFECT = {
  intercept: 'A host without a certificate is intercepted too: its exchanges are recorded and its server is verified.',
  passthrough: 'A host without a certificate passes through untouched.',
  refuse: 'A host without a certificate is refused with 403.',
} as const;

const REVOCATION_EFFECT = {
  off: 'is not checked for revocation',
  'when-known': 'must not be known to be revoked',
  required: 'has to be known not to be revoked',
} as const;

/** What a rule changes for its host. */
export function ruleEffect(rule: Rule): string {
  const {
    mode,
    trust,
    allow = [],
    pins = [],
    min_version: min,
    max_version: max,
    server_name: name,
    revocation,
  } = rule;
  const parts = [
    mode === 'report' ? 'is checked, and gets requests with any result' : null,
    mode === 'enforce' ? 'has to pass verification' : null,
    trust ? trustEffect(trust) : null,
    allow.length > 0 ? `may have ${listed(allow)}` : null,
    pins.length > 0 ? `has to show one of ${pins.length} pinned public ${pins.length === 1 ? 'key' : 'keys'}` : null,
    min ? `speaks ${min} or newer` : null,
    max ? `is offered ${max} at most` : null,
    revocation ? REVOCATION_EFFECT[revocation] : null,
    name ? `is verified as ${name}` : null,
  ].filter((part) => part !== null);
  return parts.length === 0 ? 'Nothing differs.' : `The server ${listed(parts)}.`;
}

function trustEffect({ system, ca = [] }: { readonly system?: boolean; readonly ca?: readonly string[] }): string {
  const sources = [...(system === false ? [] : ['the system']), ...ca];
  return sources.length === 0 ? 'has no CA that is trusted' : `is trusted by ${listed(sources)} alone`;
}
