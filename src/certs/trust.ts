/** Trust anchors, and the secure contexts that are made of them. */
import type { X509Certificate } from 'node:crypto';

export interface TrustAnchors {
  /** SHA-256 over the set. */
  readonly id: string;
  readonly certificates: readonly X509Certificate[];
  readonly pems: readonly string[];
}
