/**
 * A client identity: the key, the leaf and its chain that go into one TLS handshake, already checked to belong together.
 */
import type { X509Certificate } from 'node:crypto';
import { Type } from 'typebox';
import type { CertificateFacts } from '../../core/facts.ts';
import { closed, nullable, type Plain } from '../../core/schema.ts';

export interface ClientIdentity {
  /** SHA-256 over chain and public key: two identities with the same id are the same on the wire. */
  readonly id: string;
  readonly leaf: X509Certificate;
  /** Leaf first, as it is sent. */
  readonly chain: readonly X509Certificate[];
  /** Of the leaf, where the files hold it, a root too that is not sent. */
  readonly issuer: X509Certificate | null;
  readonly facts: readonly CertificateFacts[];
  /** PEM for tls.createSecureContext; the key is unencrypted PKCS#8 and leaves this object for nothing else. */
  readonly certPem: string;
  readonly keyPem: () => string;
}

export const DiagnosisSchema = Type.Object(
  {
    code: Type.String({ description: 'Stable: `KEY_MISMATCH`, `CERTIFICATE_EXPIRED`, …' }),
    severity: Type.Enum(['error', 'warning'], { description: 'An error makes the entry unusable.' }),
    message: Type.String(),
    /** What to do next; a command where one helps. */
    hint: Type.String(),
    file: nullable(Type.String()),
  },
  { ...closed, $id: 'Diagnosis', description: 'What is wrong with the files of an entry.' },
);
export type Diagnosis = Plain<typeof DiagnosisSchema>;
