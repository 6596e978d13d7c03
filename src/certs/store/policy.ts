/** What a server is held to: compiled once per rule when the store loads, immutable, compared by `id`. */
import type { TrustAnchors } from '../trust.ts';

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
