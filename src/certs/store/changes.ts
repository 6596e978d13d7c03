/** What a reload changed, for the log and for pools. */
import type { StoreEntry } from './snapshot.ts';

export interface StoreChange {
  /** Counts of what is in force now. */
  readonly entries: number;
  readonly usable: number;
  /** Names; `changed` covers the entry's fields, its certificate and its problems. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Of `trust`, `verification` and `interception`, those that differ. */
  readonly sections: readonly ('trust' | 'verification' | 'interception')[];
}

/** An entry with the hash of its fields as written. */
export interface Signed {
  readonly entry: StoreEntry;
  readonly signature: string;
}

/** The sections as texts that differ when their meaning does. */
export type SectionPrints = Readonly<Record<StoreChange['sections'][number], string>>;

export function changeBetween(
  before: { readonly entries: ReadonlyMap<string, Signed>; readonly sections: SectionPrints } | null,
  after: { readonly entries: ReadonlyMap<string, Signed>; readonly sections: SectionPrints },
): StoreChange {
  const added: string[] = [];
  const changed: string[] = [];
  let usable = 0;
  for (const [name, signed] of after.entries) {
    if (signed.entry.identity) usable++;
    const old = before?.entries.get(name);
    if (!old) added.push(name);
    else if (!sameEntry(old, signed)) changed.push(name);
  }
  const removed = before ? [...before.entries.keys()].filter((name) => !after.entries.has(name)) : [];
  const names = ['trust', 'verification', 'interception'] as const;
  const sections = before ? names.filter((name) => before.sections[name] !== after.sections[name]) : [];
  return { entries: after.entries.size, usable, added, changed, removed, sections };
}

function sameEntry(a: Signed, b: Signed): boolean {
  const codes = ({ entry }: Signed) => entry.problems.map((problem) => `${problem.code} ${problem.message}`).join('\n');
  return a.signature === b.signature && a.entry.identity?.id === b.entry.identity?.id && codes(a) === codes(b);
}

export function isEmpty({ added, changed, removed, sections }: StoreChange): boolean {
  return added.length + changed.length + removed.length + sections.length === 0;
}
