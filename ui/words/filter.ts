/** Which exchanges the console shows, by the address: `?q=orders&failed=1&host=api.example&certificate=alice`. */
import type { Exchange } from '../api/document.ts';

export interface Filter {
  /** Words that all have to be in what the row shows. */
  readonly words: readonly string[];
  readonly failed: boolean;
  readonly host: string | null;
  readonly certificate: string | null;
}

export function filterOf(params: URLSearchParams): Filter {
  return {
    words: (params.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean),
    failed: params.get('failed') === '1',
    host: params.get('host'),
    certificate: params.get('certificate'),
  };
}

/** As the daemon filters its own list. */
export const hasFailed = ({ error, status }: Exchange): boolean => error !== null || (status ?? 0) >= 500;

export function fits(record: Exchange, { words, failed, host, certificate }: Filter): boolean {
  if (failed && !hasFailed(record)) return false;
  if (certificate !== null && record.certificate !== certificate) return false;
  if (host !== null && record.authority !== host && hostOf(record.authority) !== host) return false;
  if (words.length === 0) return true;
  const text = textOf(record);
  return words.every((word) => text.includes(word));
}

function textOf({ method, authority, path, status, certificate, client, error, started }: Exchange): string {
  return `${started} ${method} ${authority}${path} ${status} ${certificate ?? ''} ${client} ${error?.code ?? ''} ${error?.message ?? ''}`.toLowerCase();
}

/** `api.example:443` and `[::1]:443` without the port and the brackets. */
export function hostOf(authority: string): string {
  return authority.slice(0, authority.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

export function portOf(authority: string): number {
  return Number(authority.slice(authority.lastIndexOf(':') + 1));
}
