/** Whether a page of another site makes a request: such a page must not act with the user's certificate unless allowed. */
import type { CrossSite } from '../../certs/store/schema.ts';
import type { Authority } from '../../core/authority.ts';
import type { BrowserFields } from './fields.ts';

export interface ForeignPage {
  /** As the browser named it; null where it did not (images, forms without CORS). */
  readonly origin: string | null;
}

/**
 * Browsers alone send Sec-Fetch-Site, and no page can take it off. A top-level navigation is the user's own doing. A WebSocket
 * shows its page by Origin alone; programs that send an Origin without an Upgrade, as in a CORS test, are not concerned.
 */
export function foreignPage(
  { site, mode, dest, origin }: BrowserFields,
  request: { readonly method: string; readonly tunnel: string | null; readonly authority: Authority },
): ForeignPage | null {
  const named = origin === undefined ? null : origin.slice(0, 300);
  if (site === undefined)
    return request.tunnel !== null && named !== null && !isOwn(named, request.authority) ? { origin: named } : null;
  if (site !== 'cross-site') return null;
  const navigates = mode === 'navigate' && dest === 'document' && ['GET', 'HEAD'].includes(request.method);
  return navigates ? null : { origin: named };
}

/** @returns what becomes of the request */
export function crossSiteAction(setting: CrossSite, { origin }: ForeignPage): 'allow' | 'withhold' | 'refuse' {
  if (typeof setting === 'string') return setting;
  return origin !== null && setting.includes(origin.toLowerCase()) ? 'allow' : 'withhold';
}

/** Scheme and host of the authority; another port is the same site. */
function isOwn(origin: string, { host, kind }: Authority): boolean {
  try {
    const url = new URL(origin);
    return url.protocol === 'https:' && url.hostname === (kind === 'ipv6' ? `[${host}]` : host);
  } catch {
    return false; // `null`, or no origin at all
  }
}
