/** `renew:` of an entry, compiled when the store loads. Plain data, apart from the trust anchors. */
import type { IdentitySource } from '../identity/load.ts';
import type { ClientIdentity } from '../identity/identity.ts';
import type { TrustAnchors } from '../trust.ts';
import type { RenewalTarget } from './target.ts';

export type RenewalVia =
  | { readonly kind: 'est'; readonly url: string }
  | { readonly kind: 'step'; readonly url: string }
  | { readonly kind: 'command'; readonly command: readonly string[] };

export interface RenewalPlan {
  readonly via: RenewalVia;
  /** Share of the lifetime, between 0 and 1. */
  readonly after: number;
  /** A new key each time; without effect for a command. */
  readonly rekey: boolean;
  /** For the CA's server. */
  readonly trust: TrustAnchors;
  readonly target: RenewalTarget;
  /** What the entry is loaded from. */
  readonly source: IdentitySource;
  /** Of the store: where commands run. */
  readonly folder: string;
}

/** The part of an entry that a renewal needs. */
export interface RenewalEntry {
  readonly name: string;
  readonly host: string;
  /** Differs whenever a field of the entry does. */
  readonly etag: string;
  readonly identity: ClientIdentity;
  readonly renew: RenewalPlan;
}

/** `https://ca.example/.well-known/est` where only the server is given (RFC 7030 §3.2.2); null where it is no URL for this. */
export function caUrl(kind: 'est' | 'step', text: string): URL | null {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return null;
  if (kind === 'est' && url.pathname === '/') url.pathname = '/.well-known/est';
  return url;
}
