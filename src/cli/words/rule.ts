/** Verification in words. */
import type { RuleFields, VerificationFields } from '../../certs/store/schema.ts';
import { paint, pairs, table } from '../output.ts';

export function verificationText({ mode, revocation = 'when-known', rules = [] }: VerificationFields): string {
  const head = `mode ${modeText(mode)}: ${mode === 'report' ? 'problems are recorded, and every server is let through' : 'a server that fails verification is refused'}\nrevocation ${revocation}: ${REVOCATION[revocation]}\n`;
  if (rules.length === 0) return `${head}no rules\n`;
  const rows = rules.map((rule) => [
    rule.host,
    String(rule.port ?? 443),
    rule.mode === undefined ? '' : modeText(rule.mode),
    differences(rule),
  ]);
  return `${head}\n${table(['HOST', 'PORT', 'MODE', 'DIFFERS IN'], rows)}`;
}

export function ruleText(rule: RuleFields): string {
  return pairs([
    ['for', `${rule.host}, ${rule.port === '*' ? 'any port' : `port ${rule.port ?? 443}`}`],
    ['mode', rule.mode === undefined ? 'inherited' : modeText(rule.mode)],
    ['differs in', differences(rule) || null],
  ]);
}

const REVOCATION = {
  off: 'revocation is not checked',
  'when-known': 'a certificate is refused if a CRL or an OCSP staple says that it is revoked',
  required: 'a certificate is refused unless a CRL or an OCSP staple says that it is good',
} as const;

function differences({ revocation, trust, allow, pins, min_version, max_version, server_name }: RuleFields): string {
  return [
    trust &&
      `trusts ${[trust.system === false ? null : 'system', ...(trust.ca ?? [])].filter((one) => one !== null).join(', ') || 'no CA'}`,
    trust?.crl && trust.crl.length > 0 && `CRLs ${trust.crl.join(', ')}`,
    revocation && `revocation ${revocation}`,
    allow && allow.length > 0 && `allow ${allow.join(', ')}`,
    pins && pins.length > 0 && `pins ${pins.join(', ')}`,
    min_version && `min_version ${min_version}`,
    max_version && `max_version ${max_version}`,
    server_name && `server_name ${server_name}`,
  ]
    .filter((part) => typeof part === 'string')
    .join('; ');
}

const modeText = (mode: 'enforce' | 'report' | undefined): string =>
  mode === 'report' ? paint('yellow', 'report') : paint('green', 'enforce');
