/** A place that programs look for CAs in, and the commands that put ours there and take it out. */

/** A program and its arguments, run as they stand and shown before. */
export type Step = readonly [program: string, ...args: string[]];

export interface TrustStore {
  /** `the system's store`, `Firefox profile x.default`. */
  readonly name: string;
  readonly kind: 'system' | 'nss';
  /** Which programs look there. */
  readonly used: string;
  isInstalled(): Promise<boolean>;
  readonly install: readonly Step[];
  readonly uninstall: readonly Step[];
}

export interface CaFile {
  readonly path: string;
  readonly pem: string;
  /** Upper case, with colons. */
  readonly fingerprint256: string;
  readonly fingerprint1: string;
}

/** Two installations on one machine each have a name of their own in every store. */
export const storeName = ({ fingerprint256 }: CaFile): string =>
  `mtlsd-${fingerprint256.replaceAll(':', '').slice(0, 12).toLowerCase()}`;
