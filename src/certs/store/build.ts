/** Parsed store + loaded identities + trust anchors -> the snapshot in force. */
import type { Authority } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import { hostPortText } from './hosts.ts';
import { coversHost, coversPort, HostIndex, reasonOf } from './match.ts';
import type { ParsedSections } from './parsed.ts';
import type { Policies, PolicyPair } from './policies.ts';
import type { Policy } from './policy.ts';
import { Turns } from './turns.ts';
import type {
  Candidate,
  CertificateChoice,
  Interception,
  StoreEntry,
  StoreSections,
  StoreSnapshot,
  Wish,
} from './snapshot.ts';

const noneAsked: CertificateChoice = Object.freeze({ entry: null, reason: 'none asked for by Mtlsd-Certificate' });
const noneMatches: CertificateChoice = Object.freeze({ entry: null, reason: 'no entry matches' });

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
  const turns = new Turns();
  for (const entry of snapshot.entries) {
    if (turns.over) await turns.next();
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
  /** One index per profile; `null` holds the entries that serve everybody. */
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
    if (wish.certificate !== undefined) return this.#named(authority, wish.certificate);
    const own = wish.profile === undefined ? undefined : this.#byProfile.get(wish.profile)?.find(authority);
    const entry = own ?? this.#byProfile.get(null)?.find(authority);
    return entry ? this.#choiceOf(entry) : noneMatches;
  }

  #choiceOf(entry: StoreEntry): CertificateChoice {
    let choice = this.#choices.get(entry);
    if (!choice) this.#choices.set(entry, (choice = Object.freeze({ entry, reason: reasonOf(entry) })));
    return choice;
  }

  #named(authority: Authority, name: string): CertificateChoice {
    if (name === 'none') return noneAsked;
    const entry = this.#byName.get(name);
    if (!entry) throw unknown(`no certificate is named ${JSON.stringify(name.slice(0, 100))}`);
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
      return null; // the wish names nothing that fits: every entry lost
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
    // Only one with the same host, port and profile wins whatever the authority and the client.
    const winner = entry.enabled ? this.#byProfile.get(entry.profile)?.at(entry) : null;
    return winner && winner !== entry ? winner : null;
  }
}

function unknown(message: string, hint?: string): MtlsdError {
  return new MtlsdError('CLIENT_CERTIFICATE_UNKNOWN', message, hint === undefined ? {} : { hint });
}
