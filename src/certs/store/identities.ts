/** Loads the identities of a store's entries: once per distinct set of files, and on a reload only what changed. */
import path from 'node:path';
import { Secret } from '../../core/secret.ts';
import { diagnosis } from '../identity/diagnosis.ts';
import { type IdentitySource, type LoadedIdentity, loadIdentity } from '../identity/load.ts';
import type { PassphraseSource } from '../identity/passphrase.ts';
import { readableByEveryone } from '../identity/read-file.ts';
import type { RenewalPlan } from '../renewal/plan.ts';
import { loadWithNext } from '../renewal/replace.ts';
import { refusalOf, type RenewalTarget } from '../renewal/target.ts';
import type { TrustAnchors } from '../trust.ts';
import { each, fingerprints } from './files.ts';
import type { ParsedEntry } from './compile.ts';
import { materialPrint, materialSources, pathsOf, refreshMs, runsProgram } from './material.ts';
import { TimeSlice } from '../../core/time-slice.ts';

/** Reading is asynchronous and checking is not: a few at a time keep the disk busy and let requests in between. */
const LOADS_AT_ONCE = 4;

/** A program that failed at a refresh is run again after this, or after `refresh` where that is sooner. */
const RETRY_MS = 60_000;

/** What an entry names, with absolute paths. */
function sourceOf(entry: ParsedEntry, folder: string): IdentitySource {
  return { ...materialSources(entry, folder), alias: entry.alias, passphrase: passphraseSource(entry, folder) };
}

function passphraseSource({ passphrase }: ParsedEntry, folder: string): PassphraseSource | null {
  if (passphrase === null) return null;
  if ('text' in passphrase) return { text: new Secret(passphrase.text) };
  if ('file' in passphrase) return { file: path.resolve(folder, passphrase.file) };
  return 'command' in passphrase ? { command: passphrase.command, cwd: folder } : passphrase;
}

/** Every file that the entries name, absolute; one list per entry. */
export async function filesOf(entries: readonly ParsedEntry[], folder: string): Promise<string[][]> {
  const slice = new TimeSlice();
  const files: string[][] = [];
  const absolute = new Map<string, string>();
  const resolve = (file: string) => {
    const known = absolute.get(file) ?? path.resolve(folder, file);
    absolute.set(file, known);
    return known;
  };
  for (const entry of entries) {
    if (slice.over) await slice.next();
    const { passphrase } = entry;
    const secret = passphrase && 'file' in passphrase ? [passphrase.file] : [];
    files.push([...pathsOf(entry), ...secret].map(resolve));
  }
  return files;
}

/** What was loaded, and when the output of a program must be read again (performance.now()); Infinity for never. */
interface Slot {
  readonly loaded: LoadedIdentity;
  readonly refreshAt: number;
}

export class Identities {
  #slots = new Map<string, Slot>();

  /**
   * One result per entry, in their order. A result is used again while no file, passphrase or variable that it came from
   * changed, and until its refresh; failures are tried again.
   * @param files of each entry
   * @param roots that the store trusts for every host
   * @param again whether programs are run again now
   */
  async load(
    entries: readonly ParsedEntry[],
    files: readonly (readonly string[])[],
    storeFile: string,
    roots: TrustAnchors,
    again: boolean,
  ): Promise<LoadedIdentity[]> {
    const folder = path.dirname(storeFile);
    const prints = await fingerprints([storeFile, ...files.flat()]);
    const slice = new TimeSlice();
    // Entries that name the same files share a slot; their long keys are not kept.
    const slots = new Map<string, number>();
    const wanted: (readonly [key: string, entry: ParsedEntry])[] = [];
    const slotOf: number[] = [];
    for (const [i, entry] of entries.entries()) {
      if (slice.over) await slice.next();
      const key = `${roots.id}\0${cacheKey(entry, files[i] ?? [], prints)}`;
      const slot = slots.get(key) ?? wanted.push([key, entry]) - 1;
      slots.set(key, slot);
      slotOf.push(slot);
    }
    const results: Slot[] = [];
    await each(wanted.entries(), LOADS_AT_ONCE, async ([slot, [key, entry]]) => {
      const known = this.#slots.get(key);
      const due = known !== undefined && (known.refreshAt <= performance.now() || (again && runsProgram(entry)));
      if (known?.loaded.identity && !due) results[slot] = known;
      else results[slot] = refreshed(entry, await loadOne(entry, folder, roots), known?.loaded);
    });
    this.#slots = new Map(wanted.map(([key], slot) => [key, results[slot] as Slot]));
    const exposed = isPublic(prints.get(storeFile));
    return entries.map((entry, i) => {
      const { loaded } = results[slotOf[i] ?? 0] as Slot;
      if (!exposed || entry.passphrase === null || !('text' in entry.passphrase)) return loaded;
      return { ...loaded, problems: [...loaded.problems, readableByEveryone(storeFile)] };
    });
  }

  /** When the next program runs again, in ms from now; null for never. */
  nextRefreshMs(): number | null {
    const next = Math.min(...[...this.#slots.values()].map(({ refreshAt }) => refreshAt));
    return Number.isFinite(next) ? Math.max(next - performance.now(), 0) : null;
  }
}

/**
 * A program that fails, or prints something else, at a refresh: its earlier output is used until the certificate expires, since
 * the service behind it may be down for a while.
 */
function refreshed(entry: ParsedEntry, loaded: LoadedIdentity, before: LoadedIdentity | undefined): Slot {
  const every = refreshMs(entry) ?? Number.POSITIVE_INFINITY;
  const old = before?.identity;
  if (loaded.identity || !old || old.leaf.validToDate.getTime() <= Date.now()) {
    const same = old && loaded.identity?.id === old.id && codes(before) === codes(loaded);
    // The same object where nothing changed, so that nothing else is recomputed.
    return { loaded: same ? before : loaded, refreshAt: performance.now() + every };
  }
  const [fault] = loaded.problems;
  const message = `it could not be read again (${fault?.message}); what was read before is used until it expires`;
  const stale = diagnosis(
    'MATERIAL_STALE',
    loaded.file,
    message,
    fault?.hint ?? 'run the command of the entry yourself',
  );
  const problems = [stale, ...before.problems.filter(({ code }) => code !== 'MATERIAL_STALE')];
  return { loaded: { ...before, problems }, refreshAt: performance.now() + Math.min(every, RETRY_MS) };
}

const codes = ({ problems }: LoadedIdentity): string => problems.map(({ code }) => code).join();

async function loadOne(entry: ParsedEntry, folder: string, roots: TrustAnchors): Promise<LoadedIdentity> {
  // A command may ask its user for a fingerprint, so it does not run for a disabled entry.
  const asks = runsProgram(entry) || (entry.passphrase !== null && 'command' in entry.passphrase);
  if (!entry.enabled && asks) return { identity: null, problems: [], file: null };
  const loaded = await loadWithNext(sourceOf(entry, folder), (source) => loadIdentity(source, roots));
  const target = entry.renewal && entry.enabled ? targetOf(entry, folder) : null;
  const refusal = target && (await refusalOf(target));
  return refusal ? { ...loaded, problems: [...loaded.problems, refusal] } : loaded;
}

/** The files that `renew:` replaces; null where the entry has none. */
function targetOf(entry: ParsedEntry, folder: string): RenewalTarget | null {
  const { cert, key, pfx, alias } = entry;
  const passphrase = passphraseSource(entry, folder);
  const at = (file: string) => path.resolve(folder, file);
  if (typeof pfx === 'string') return { kind: 'pfx', pfx: at(pfx), alias, passphrase };
  if (typeof cert !== 'string') return null;
  return { kind: 'pem', cert: at(cert), key: typeof key === 'string' ? at(key) : null, passphrase };
}

/** @param trust of `renew:`, or the store's */
export function renewalPlan(entry: ParsedEntry, folder: string, trust: TrustAnchors): RenewalPlan | null {
  const target = entry.renewal && targetOf(entry, folder);
  if (!entry.renewal || !target) return null;
  const { via, after, rekey } = entry.renewal;
  return { via, after, rekey, trust, target, source: sourceOf(entry, folder), folder };
}

/** Never leaves this process: it holds the passphrase, as the text of the store does. */
function cacheKey(entry: ParsedEntry, files: readonly string[], prints: ReadonlyMap<string, string>): string {
  const { alias, passphrase, enabled, renewal } = entry;
  const variable = passphrase && 'env' in passphrase ? process.env[passphrase.env] : undefined;
  const secret = passphrase === null ? '' : JSON.stringify([passphrase, variable, enabled]);
  const roles = `${entry.pfx === null ? (entry.key === null ? 'c' : 'ck') : 'p'}${renewal ? 'r' : ''}`;
  const material = materialPrint(entry);
  // Enabling an entry runs its program.
  const other = material === '' ? '' : `${material}${enabled}`;
  return [roles, alias ?? '', secret, other, ...files.flatMap((file) => [file, prints.get(file) ?? ''])].join('\0');
}

/** Whether others may read the file, by its fingerprint's last part. */
function isPublic(print: string | undefined): boolean {
  return (Number(print?.split(':').at(-1) ?? 0) & 0o004) !== 0 && process.platform !== 'win32';
}
