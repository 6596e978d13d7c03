/**
 * The CRLs available, by the source that the store names: the path of a file, or a URL. A CRL changes
 * each hour, the store once a month; so policies hold the sources, and look here when a connection is made.
 */
import type { X509Certificate } from 'node:crypto';
import { certificateParts } from '../extensions.ts';
import { tryOr } from '../try-or.ts';
import type { Crl } from './crl.ts';

export interface NamedCrl {
  readonly source: string;
  readonly crl: Crl;
}

/** A PKI has a handful of CAs. */
const MOST_ISSUERS = 64;

export class CrlBook {
  readonly #crls = new Map<string, readonly Crl[]>();
  readonly #issuers = new Map<string, X509Certificate>();

  put(source: string, crls: readonly Crl[]): void {
    this.#crls.set(source, crls);
  }

  get(source: string): readonly Crl[] {
    return this.#crls.get(source) ?? [];
  }

  /** Drops the CRLs of all other sources. */
  retain(sources: ReadonlySet<string>): void {
    for (const source of this.#crls.keys()) if (!sources.has(source)) this.#crls.delete(source);
  }

  /** Those of an issuer (DER of its name) from some of the sources. */
  of(issuer: Buffer, sources: readonly string[]): NamedCrl[] {
    return sources.flatMap((source) =>
      this.get(source)
        .filter((crl) => crl.issuer.equals(issuer))
        .map((crl) => ({ source, crl })),
    );
  }

  /** A CA that a verified chain led through: CRLs that come later are verified with it before they replace others. */
  learn(issuer: X509Certificate): void {
    this.#issuers.set(issuer.fingerprint256, issuer);
    if (this.#issuers.size > MOST_ISSUERS) this.#issuers.delete(this.#issuers.keys().next().value ?? '');
  }

  /** The CAs of a name that were learnt, or are among the others. Never throws. */
  issuersOf(name: Buffer, others: readonly X509Certificate[]): X509Certificate[] {
    const isNamed = (certificate: X509Certificate): boolean => certificateParts(certificate).subject.equals(name);
    return [...this.#issuers.values(), ...others].filter((certificate) => tryOr(() => isNamed(certificate), false));
  }
}

/** For checks by staples only. */
export const WITHOUT_CRLS = { mode: 'when-known', sources: [], crls: () => [], learn: () => {} } as const;
