/** Which exchanges a list or a terminal shows. */
import type { ExchangeRecord } from './types.ts';

export interface ExchangeFilter {
  /** The authority's host, with or without its port. */
  readonly host?: string | undefined;
  /** Only those with an error or a status of 500 and above; false: only the others. */
  readonly failed?: boolean | undefined;
  /** Name of the entry. */
  readonly certificate?: string | undefined;
}

export const hasFailed = ({ error, status }: Pick<ExchangeRecord, 'error' | 'status'>): boolean =>
  error !== null || (status ?? 0) >= 500;

/** @param failed of the exchange */
export function fits(
  { authority, certificate }: Pick<ExchangeRecord, 'authority' | 'certificate'>,
  failed: boolean,
  wanted: ExchangeFilter,
): boolean {
  if (wanted.host !== undefined && authority !== wanted.host && hostOf(authority) !== wanted.host) return false;
  if (wanted.failed !== undefined && failed !== wanted.failed) return false;
  return wanted.certificate === undefined || certificate === wanted.certificate;
}

/** `[::1]:443` and `api.example:443` without the port, and without brackets. */
function hostOf(authority: string): string {
  return authority.slice(0, authority.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
