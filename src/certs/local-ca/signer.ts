/** A CA that signs leaves: one certificate with its key, and those above it. */
import type { KeyObject, X509Certificate } from 'node:crypto';
import { certificateParts, OID } from '../../core/extensions.ts';
import { isSelfSigned } from '../../core/facts.ts';
import { constrainsDirectoryNames } from '../../core/name-constraints.ts';
import { type Issuer, issuerOf } from './mint.ts';

export interface Signer {
  readonly certificate: X509Certificate;
  /** Signs leaves. Holds the private key. */
  readonly issuer: Issuer;
  /** PEM, sent behind each leaf: itself and those above it, without a root. */
  readonly above: string;
  /** What name constraints above a leaf are about: they hold for its subject too. */
  readonly constrains: 'nothing' | 'hosts' | 'subjects';
}

/** @param chain that which signs first, each certified by the next */
export function signerOf(chain: readonly [X509Certificate, ...X509Certificate[]], key: KeyObject): Signer {
  const [certificate] = chain;
  const constrained = chain.filter((each) => certificateParts(each).extensions.has(OID.nameConstraints));
  return {
    certificate,
    issuer: issuerOf(certificate, key),
    above: chain
      .filter((each) => !isSelfSigned(each))
      .map(String)
      .join(''),
    constrains:
      constrained.length === 0 ? 'nothing' : constrained.some(constrainsDirectoryNames) ? 'subjects' : 'hosts',
  };
}
