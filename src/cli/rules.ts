/** Rules of verification over the API. */
import type { MatchAnswer } from '../admin/schemas/match.ts';
import type { RuleFields } from '../certs/store/schema.ts';
import { type Api, ApiError } from './api/api.ts';
import { usage } from './errors.ts';
import { type Pattern, parsePattern } from './target.ts';

export function rulePath({ host, port }: Pattern): string {
  if (typeof port === 'number' && (port < 1 || port > 65535))
    throw usage(`${port} is not a port`, 'give a number from 1 to 65535, or *');
  return `/api/v1/verification/rules/${encodeURIComponent(host)}/${port === '*' ? '*' : (port ?? 443)}`;
}

/** The current rule, or null. */
export async function ruleAt(api: Api, pattern: Pattern): Promise<{ rule: RuleFields; etag: string } | null> {
  try {
    const { body, headers } = await api.call<RuleFields>('GET', rulePath(pattern));
    return { rule: body, etag: String(headers.etag) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** The broader rule that applies to a host which has no rule; null for patterns, and where no rule applies. */
export async function broaderRule(api: Api, { host, port }: Pattern): Promise<RuleFields | null> {
  if (host.startsWith('*') || port === '*') return null;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port ?? 443}`;
  const { body } = await api.call<MatchAnswer>('GET', `/api/v1/match?authority=${encodeURIComponent(authority)}`);
  const { rule } = body.verification;
  return rule === null ? null : ((await ruleAt(api, parsePattern(rule)))?.rule ?? null);
}
