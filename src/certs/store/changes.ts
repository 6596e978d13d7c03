/** What a reload changed, for the log and for pools. */
import type { ParsedStore } from './compile.ts';
import type { CrlFile } from './crls.ts';
import type { StoreEntry } from './snapshot.ts';
import { TimeSlice } from '../../core/time-slice.ts';

export interface StoreChange {
  /** Counts of the current store. */
  readonly entries: number;
  readonly usable: number;
  /** Names; `changed` covers the entry's fields, its certificate and its problems. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Of `trust`, `verification` and `interception`, those that differ. */
  readonly sections: readonly SectionName[];
}

type SectionName = 'trust' | 'verification' | 'interception';

/** The sections as texts that differ when their meaning does. */
export type SectionPrints = Readonly<Record<SectionName, string>>;

/** The compared parts of a store. */
export interface Comparable {
  readonly entries: ReadonlyMap<string, StoreEntry>;
  readonly sections: SectionPrints;
}

export async function changeBetween(before: Comparable | null, after: Comparable): Promise<StoreChange> {
  const slice = new TimeSlice();
  const added: string[] = [];
  const changed: string[] = [];
  let usable = 0;
  for (const [name, entry] of after.entries) {
    if (slice.over) await slice.next();
    if (entry.identity) usable++;
    const old = before?.entries.get(name);
    if (!old) added.push(name);
    else if (old !== entry && !sameEntry(old, entry)) changed.push(name);
  }
  const removed: string[] = [];
  for (const name of before?.entries.keys() ?? []) if (!after.entries.has(name)) removed.push(name);
  const names = ['trust', 'verification', 'interception'] as const;
  const sections = before ? names.filter((name) => before.sections[name] !== after.sections[name]) : [];
  return { entries: after.entries.size, usable, added, changed, removed, sections };
}

function sameEntry(a: StoreEntry, b: StoreEntry): boolean {
  return a.etag === b.etag && a.identity?.id === b.identity?.id && codesOf(a) === codesOf(b);
}

/** Codes, since the sentences contain the time; '' for most entries. */
function codesOf({ problems }: StoreEntry): string {
  return problems.length === 0 ? '' : problems.map(({ code }) => code).join();
}

export function isEmpty({ added, changed, removed, sections }: StoreChange): boolean {
  return added.length + changed.length + removed.length + sections.length === 0;
}

/** Without places in the file: a comment above a rule changes nothing. */
export function sectionPrints(
  { trust, mode, revocation, rules, interception }: ParsedStore,
  trustId: string,
  crls: ReadonlyMap<string, CrlFile>,
): SectionPrints {
  const plain = (value: unknown) =>
    JSON.stringify(value, (key, v: unknown) => (key === 'line' || key === 'column' ? undefined : v));
  return {
    trust: plain([trust, trustId, [...crls].map(([file, { print }]) => [file, print])]),
    verification: plain([mode, revocation, rules]),
    interception: plain(interception),
  };
}

/** A problem of one entry, or of many that have the same. */
export interface EntryProblem<P> {
  /** Of the first entry that has it. */
  readonly name: string;
  readonly entries: number;
  readonly problem: P;
}

/** The problems of all entries, each once: one wrong path in 41 entries is one problem. */
export function distinctProblems<P extends { readonly code: string; readonly message: string }>(
  entries: readonly { readonly name: string; readonly problems: readonly P[] }[],
): EntryProblem<P>[] {
  const all = entries.flatMap(({ name, problems }) => problems.map((problem) => ({ name, problem })));
  const groups = Map.groupBy(all, ({ problem }) => `${problem.code} ${problem.message}`);
  return [...groups.values()].flatMap(([first, ...rest]) => (first ? [{ ...first, entries: rest.length + 1 }] : []));
}
