/** Parsed store + loaded identities + trust anchors -> the current snapshot. */
import type { Authority } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import { coversHost, coversPort, HostIndex, hostPortText, reasonOf } from '../../core/hosts.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import { dateProblems } from '../identity/chain.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import type { RenewalPlan } from '../renewal/plan.ts';
import type { ParsedEntry, ParsedSections } from './compile.ts';
import type { Policies, Policy, PolicyPair } from './policy.ts';
import type { StoreSections } from './schema.ts';
import type { Candidate, CertificateChoice, Interception, StoreEntry, StoreSnapshot, Wish } from './snapshot.ts';

const NONE_ASKED: CertificateChoice = Object.freeze({ entry: null, reason: 'none asked for by Mtlsd-Certificate' });
const NONE_MATCHES: CertificateChoice = Object.freeze({ entry: null, reason: 'no entry matches' });

/** A parsed entry and its loaded identity -> the entry of the snapshot. */
export function storeEntry(
  parsed: ParsedEntry,
  loaded: LoadedIdentity,
  renew: RenewalPlan | null,
  index: number,
): StoreEntry {
  const { identity, file } = loaded;
  const { name, host, port, enabled, profile, withholdUnverified, crossSite, line, signature, cert, key, pfx, alias } =
    parsed;
  const passphrase = parsed.passphrase && 'text' in parsed.passphrase ? 'text' : parsed.passphrase;
  return {
    name,
    host,
    port,
    enabled,
    profile,
    withholdUnverified,
    crossSite,
    identity,
    // An entry that was loaded long ago may have expired since.
    get problems() {
      const dated = identity ? dateProblems(identity.leaf, file) : [];
      return dated.length === 0 ? loaded.problems : [...loaded.problems, ...dated];
    },
    index,
    line,
    source: { cert, key, pfx, alias, passphrase, renew: parsed.renew },
    renew,
    etag: signature,
  };
}

export interface SnapshotParts {
  readonly generation: number;
  readonly version: string;
  /** By name, in the order of the file. */
  readonly entries: ReadonlyMap<string, StoreEntry>;
  readonly sections: ParsedSections;
  readonly policies: Policies;
}

export async function buildSnapshot(parts: SnapshotParts): Promise<StoreSnapshot> {
  const snapshot = new Snapshot(parts);
  const slice = new TimeSlice();
  for (const entry of snapshot.entries) {
    if (slice.over) await slice.next();
    snapshot.index(entry);
  }
  return snapshot;
}

class Snapshot implements StoreSnapshot {
  readonly generation: number;
  readonly version: string;
  readonly entries: readonly StoreEntry[];
  readonly interception: Interception;
  readonly sections: StoreSections;
  readonly #byName: ReadonlyMap<string, StoreEntry>;
  /** One index per profile; `null` holds the entries without a profile. */
  readonly #byProfile = new Map<string | null, HostIndex<StoreEntry>>();
  /** Made when first asked for. */
  readonly #choices = new Map<StoreEntry, CertificateChoice>();
  readonly #listed = new HostIndex<true>();
  readonly #passthrough = new HostIndex<true>();
  readonly #policies: Policies;

  constructor({ generation, version, entries, sections, policies }: SnapshotParts) {
    this.generation = generation;
    this.version = version;
    this.#byName = entries;
    this.entries = [...entries.values()];
    this.interception = { mode: sections.interception.mode, unmatched: sections.interception.unmatched };
    this.sections = sections.written;
    this.#policies = policies;
    for (const rule of sections.rules) this.#listed.add(rule, true);
    for (const item of sections.interception.passthrough) this.#passthrough.add(item, true);
  }

  /** In the order of the file: among equals the last one added wins. Only while the snapshot is being built. */
  index(entry: StoreEntry): void {
    if (!entry.enabled) return;
    this.#listed.add(entry, true);
    let index = this.#byProfile.get(entry.profile);
    if (!index) this.#byProfile.set(entry.profile, (index = new HostIndex()));
    index.add(entry, entry);
  }

  chooseCertificate(authority: Authority, wish: Wish = {}): CertificateChoice {
    if (wish.certificate !== undefined) return this.#named(authority, wish.certificate, wish);
    const own = wish.profile === undefined ? undefined : this.#byProfile.get(wish.profile)?.find(authority);
    const entry = own ?? this.#byProfile.get(null)?.find(authority);
    return entry ? this.#choiceOf(entry) : NONE_MATCHES;
  }

  #choiceOf(entry: StoreEntry): CertificateChoice {
    let choice = this.#choices.get(entry);
    if (!choice) this.#choices.set(entry, (choice = Object.freeze({ entry, reason: reasonOf(entry) })));
    return choice;
  }

  #named(authority: Authority, name: string, { profile, proven = false }: Wish): CertificateChoice {
    if (name === 'none') return NONE_ASKED;
    const entry = this.#byName.get(name);
    const foreign = proven && entry?.profile !== null && entry?.profile !== profile;
    if (!entry || foreign) throw unknown(`no certificate is named ${JSON.stringify(name.slice(0, 100))}`);
    if (!entry.enabled) throw unknown(`the certificate ${name} is disabled`, `mtlsd cert enable ${name}`);
    if (!coversHost(entry.host, authority) || !coversPort(entry.port, authority.port)) {
      throw unknown(`the certificate ${name} is for ${hostPortText(entry)}, not for ${authority.text}`);
    }
    return { entry, reason: 'named by Mtlsd-Certificate' };
  }

  explainLosers(authority: Authority, wish: Wish = {}): readonly Candidate[] {
    const winner = this.#choiceOrNull(authority, wish)?.entry ?? null;
    const losers: Candidate[] = [];
    for (const entry of this.entries) {
      if (entry === winner || !coversHost(entry.host, authority)) continue;
      losers.push({ name: entry.name, why: this.#whyLost(entry, authority, wish, winner) });
    }
    return losers;
  }

  #choiceOrNull(authority: Authority, wish: Wish): CertificateChoice | null {
    try {
      return this.chooseCertificate(authority, wish);
    } catch {
      return null; // no entry fits the wish: every entry lost
    }
  }

  #whyLost(entry: StoreEntry, { port }: Authority, wish: Wish, winner: StoreEntry | null): string {
    if (!entry.enabled) return 'disabled';
    if (!coversPort(entry.port, port)) return `port ${entry.port} is not ${port}`;
    if (wish.certificate !== undefined) {
      return wish.certificate === 'none' ? 'none was asked for' : `${wish.certificate} was asked for by name`;
    }
    if (entry.profile !== null && entry.profile !== wish.profile) return `only for profile ${entry.profile}`;
    if (!winner) return 'not chosen';
    if (entry.profile === null && winner.profile !== null) return `${winner.name} is for profile ${winner.profile}`;
    if (entry.host !== winner.host) return `${winner.name} has the closer host, ${winner.host}`;
    if (entry.port !== winner.port) return `${winner.name} has the exact port`;
    return `shadowed by ${winner.name}, later in the file`;
  }

  choosePolicy(authority: Authority, wish: Wish = {}): Policy {
    const pair: PolicyPair = this.#policies.rules.find(authority) ?? this.#policies.global;
    return wish.verification === undefined ? pair.plain : pair[wish.verification];
  }

  passesThrough(authority: Authority): boolean {
    return this.#passthrough.find(authority) !== undefined;
  }

  lists(authority: Authority): boolean {
    return this.#listed.find(authority) !== undefined;
  }

  shadowedBy(entry: StoreEntry): StoreEntry | null {
    // Only an entry with the same host, port and profile wins for every authority and client.
    const winner = entry.enabled ? this.#byProfile.get(entry.profile)?.at(entry) : null;
    return winner && winner !== entry ? winner : null;
  }
}

function unknown(message: string, hint?: string): MtlsdError {
  return new MtlsdError('CLIENT_CERTIFICATE_UNKNOWN', message, hint === undefined ? {} : { hint });
}
