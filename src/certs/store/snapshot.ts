/** The current store: one immutable value, swapped whole, so that its decisions are consistent. */
import type { Authority } from '../../core/authority.ts';
import type { ClientIdentity, Diagnosis } from '../identity/identity.ts';
import type { Policy } from './policy.ts';
import type { RenewalPlan } from '../renewal/plan.ts';
import type { CrossSite, MaterialFields, RenewFields, StoreSections } from './schema.ts';

export interface StoreEntry {
  readonly name: string;
  /** As matched: canonical exact host, `*.suffix` or `*`. */
  readonly host: string;
  readonly port: number | '*';
  readonly enabled: boolean;
  readonly profile: string | null;
  readonly withholdUnverified: boolean;
  readonly crossSite: CrossSite;
  /** null where `problems` holds an error: such an entry still matches, and fails closed. */
  readonly identity: ClientIdentity | null;
  readonly problems: readonly Diagnosis[];
  /** Place in certificates.yaml, from 0. */
  readonly index: number;
  /** 1-based line in certificates.yaml. */
  readonly line: number;
  /** What it names, as written. */
  readonly source: EntrySource;
  /** null where it is not renewed. */
  readonly renew: RenewalPlan | null;
  /** Differs whenever a field of the entry does. */
  readonly etag: string;
}

/** As written in the file; where the passphrase comes from and never the passphrase. */
export interface EntrySource {
  readonly cert: MaterialFields | null;
  readonly key: MaterialFields | null;
  readonly pfx: MaterialFields | null;
  readonly alias: string | null;
  readonly passphrase:
    | 'text'
    | { readonly env: string }
    | { readonly file: string }
    | { readonly command: readonly string[] }
    | null;
  readonly renew: RenewFields | null;
}

/** A loser and why: `shadowed by NAME, later in the file`, `port 8443 is not 443`, … */
export interface Candidate {
  readonly name: string;
  readonly why: string;
}

export interface CertificateChoice {
  readonly entry: StoreEntry | null;
  /** `exact host and port`, `wildcard *.corp.example, any port`, `named by Mtlsd-Certificate`, `no entry matches`. */
  readonly reason: string;
  /** The winning entry is withheld from a page of another site (`cross_site`). */
  readonly withheld?: boolean;
}

/** What a client may request beside the authority. */
export interface Wish {
  /** The proxy's user name. */
  readonly profile?: string | undefined;
  /** Whether a password proves the profile: entries of other profiles then don't exist for this client. */
  readonly proven?: boolean;
  /** Mtlsd-Certificate: an entry's name, or `none`. */
  readonly certificate?: string | undefined;
  /** Mtlsd-Verification. */
  readonly verification?: 'enforce' | 'report' | undefined;
}

export interface Interception {
  readonly mode: 'all' | 'listed';
  readonly unmatched: 'intercept' | 'passthrough' | 'refuse';
}

export interface StoreSnapshot {
  /** Counts up with every swap. */
  readonly generation: number;
  /** Of the file's text; for `ifVersion` of an edit. */
  readonly version: string;
  readonly entries: readonly StoreEntry[];
  readonly interception: Interception;
  readonly sections: StoreSections;
  /**
   * Constant time however many entries.
   * @throws MtlsdError CLIENT_CERTIFICATE_UNKNOWN where `wish.certificate` names no enabled entry that matches the authority
   */
  chooseCertificate(authority: Authority, wish?: Wish): CertificateChoice;
  /** Every other entry that covers the host, and why it was not chosen; for `match`, not for the hot path. */
  explainLosers(authority: Authority, wish?: Wish): readonly Candidate[];
  /** The rule's policy or the global one; `wish.verification` replaces its mode. */
  choosePolicy(authority: Authority, wish?: Wish): Policy;
  /** Whether `interception.passthrough` lists it. */
  passesThrough(authority: Authority): boolean;
  /** Whether an entry or a rule lists it (for `mode: listed`). */
  lists(authority: Authority): boolean;
  /** The entry that wins over this one for everything it could match, or null. */
  shadowedBy(entry: StoreEntry): StoreEntry | null;
}
