/** What the rest knows of the local CA. */
import type { X509Certificate } from 'node:crypto';
import type { CaReach } from '../../core/ca-reach.ts';
import { OWN_NAME } from '../../core/own-name.ts';
import type { PassphraseSource } from '../identity/passphrase.ts';
import type { Expiring } from '../store/expiry.ts';
import type { Signer } from './signer.ts';

/** Immutable; swapped whole. */
export interface CaState {
  readonly signer: Signer;
  /** What takes over in a rotation; null where none is under way. */
  readonly next: { readonly signer: Signer; readonly takesOver: Date } | null;
  /** What clients have to trust, that of the signer first. */
  readonly anchors: readonly [X509Certificate, ...X509Certificate[]];
  /** A server that shows a leaf of one of these is refused in every mode. */
  readonly refused: readonly X509Certificate[];
  readonly reach: Pick<CaReach, 'permits' | 'limits'>;
  /** Leaves are worth nothing after the first end of these. */
  readonly chain: readonly X509Certificate[];
}

export const CA_CHANGES = ['reloaded', 'rotating', 'taken over', 'cancelled'] as const;
export type CaChange = (typeof CA_CHANGES)[number];

/** Each resolves with false where there is nothing to do: one is under way already, or none is. */
export interface Rotation {
  /** Makes a new CA, for clients to trust beside the one that signs until it takes over. */
  begin(overlapMs: number): Promise<boolean>;
  /** Lets the new CA take over now. */
  finish(): Promise<boolean>;
  /** Drops the new CA. */
  cancel(): Promise<boolean>;
}

export interface LocalCa {
  readonly current: CaState;
  /** null for a CA of the user's own. */
  readonly rotation: Rotation | null;
  /** The certificates that clients have to trust. */
  readonly certPath: string;
  /** System anchors and the same, for clients that replace their bundle. */
  readonly bundlePath: string;
  /** Writes the bundle again where the system's anchors have changed since. */
  refreshBundle(): Promise<void>;
  close(): void;
}

export interface LocalCaOptions {
  /** The user's own, in place of one that is made. */
  readonly own?: OwnCaFiles | null;
  /** What one that is made may sign for; one that is there must have just these limits. Without limits when left out. */
  readonly reach?: CaReach;
  readonly passphrase?: PassphraseSource | null;
  /** Told what was done to its files, or is wrong with them, and should be known. */
  readonly onNotice?: (message: string) => void;
  /** Called when another state is in force, and awaited. */
  readonly onChange?: (state: CaState, why: CaChange) => Promise<void> | void;
}

/** Absolute paths. */
export interface OwnCaFiles {
  /** The intermediate, and those above it up to the root or part of the way. */
  readonly cert: string;
  /** null where it is in the same file. */
  readonly key: string | null;
}

/** What clients are tested with shows whether they trust what takes over. */
export const signerFor = ({ signer, next }: CaState, host: string): Signer =>
  next && host === OWN_NAME ? next.signer : signer;

/** As expiry warnings name it; no entry of the store can have a space in its name. */
export function expiringCa({ chain }: CaState): Expiring {
  const [leaf] = chain.toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime());
  return { name: 'local CA', enabled: true, identity: leaf ? { leaf } : null, renew: null };
}
