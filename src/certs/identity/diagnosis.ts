/** Every diagnosis of a client certificate's files: one table, which `docs/formats.md` is held to by a test. */
import { CodedError } from '../../core/errors.ts';
import type { Diagnosis } from './identity.ts';

/** An error makes the entry unusable; with a warning the server decides. */
export const DIAGNOSES = {
  FILE_MISSING: 'error',
  FILE_UNREADABLE: 'error',
  FILE_EMPTY: 'error',
  FILE_TOO_LARGE: 'error',
  FILE_TRUNCATED: 'error',
  FORMAT_UNKNOWN: 'error',
  WRONG_KIND: 'error',
  JAVA_KEYSTORE: 'error',
  OPENSSH_KEY: 'error',
  PUTTY_KEY: 'error',
  PKCS7_FILE: 'error',
  CERTIFICATE_MISSING: 'error',
  CERTIFICATE_INVALID: 'error',
  KEY_MISSING: 'error',
  KEY_INVALID: 'error',
  KEY_MISMATCH: 'error',
  KEY_TOO_WEAK: 'error',
  ALIAS_UNKNOWN: 'error',
  PFX_INVALID: 'error',
  PASSPHRASE_MISSING: 'error',
  PASSPHRASE_WRONG: 'error',
  PASSPHRASE_UNAVAILABLE: 'error',
  MATERIAL_UNAVAILABLE: 'error',
  ENCRYPTION_UNSUPPORTED: 'error',
  DECRYPTION_TOO_COSTLY: 'error',
  MATERIAL_STALE: 'warning',
  RENEWAL_INCOMPLETE: 'warning',
  RENEWAL_IMPOSSIBLE: 'warning',
  CERTIFICATE_EXPIRED: 'warning',
  CERTIFICATE_NOT_YET_VALID: 'warning',
  CERTIFICATE_REVOKED: 'warning',
  REVOCATION_UNKNOWN: 'warning',
  NOT_CLIENT_CERTIFICATE: 'warning',
  CA_CERTIFICATE: 'warning',
  INTERMEDIATE_MISSING: 'warning',
  CHAIN_OUT_OF_ORDER: 'warning',
  UNRELATED_CERTIFICATE: 'warning',
  SEVERAL_KEYS: 'warning',
  WEAK_SIGNATURE: 'warning',
  FILE_READABLE_BY_EVERYONE: 'warning',
  PASSPHRASE_UNNEEDED: 'warning',
} as const satisfies Record<string, Diagnosis['severity']>;

export type DiagnosisCode = keyof typeof DIAGNOSES;

export function diagnosis(code: DiagnosisCode, file: string | null, message: string, hint: string): Diagnosis {
  return Object.freeze({ code, severity: DIAGNOSES[code], message, hint, file });
}

/** Thrown where no identity can be loaded: `loadIdentity` turns it into a problem of the entry. */
export function unusable(code: DiagnosisCode, file: string | null, message: string, hint: string): CodedError {
  return new CodedError(code, message, hint, { file });
}

/** A path as a shell takes it, so that a hint works when typed. */
export function shellWord(path: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
