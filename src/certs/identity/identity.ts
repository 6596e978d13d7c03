/**
 * A client identity: the key, the leaf and its chain that go into one TLS handshake, already checked to belong together.
 */
import type { X509Certificate } from 'node:crypto';
import type { CertificateFacts } from '../../core/facts.ts';

export interface ClientIdentity {
  /** SHA-256 over chain and public key: two identities with the same id are the same on the wire. */
  readonly id: string;
  readonly leaf: X509Certificate;
  /** Leaf first, as it is sent. */
  readonly chain: readonly X509Certificate[];
  readonly facts: readonly CertificateFacts[];
  /** PEM for tls.createSecureContext; the key is unencrypted PKCS#8 and leaves this object for nothing else. */
  readonly certPem: string;
  readonly keyPem: () => string;
}

/** What is wrong with an entry's files, found at load. */
export interface Diagnosis {
  /** Stable: `KEY_MISMATCH`, `CERTIFICATE_EXPIRED`, … (docs/formats.md). */
  readonly code: string;
  /** An error makes the entry unusable: its exchanges fail closed. */
  readonly severity: 'error' | 'warning';
  /** One sentence with the data. */
  readonly message: string;
  /** What to do next; a command where one helps. */
  readonly hint: string;
  /** The file it is about. */
  readonly file: string | null;
}
