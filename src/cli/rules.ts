/** Rules of verification over the API. */
import type { RuleFields } from '../certs/store/schema.ts';
import { type Api, ApiError } from './api.ts';
import { usage } from './errors.ts';
import type { Pattern } from './target.ts';

export function rulePath({ host, port }: Pattern): string {
  if (typeof port === 'number' && (port < 1 || port > 65535))
    throw usage(`${port} is not a port`, 'give a number from 1 to 65535, or *');
  return `/api/v1/verification/rules/${encodeURIComponent(host)}/${port === '*' ? '*' : (port ?? 443)}`;
}

/** The rule as it is, or null. */
export async function ruleAt(api: Api, pattern: Pattern): Promise<{ rule: RuleFields; etag: string } | null> {
  try {
    const { body, headers } = await api.call<RuleFields>('GET', rulePath(pattern));
    return { rule: body, etag: String(headers.etag) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}
