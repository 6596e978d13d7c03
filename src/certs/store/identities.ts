/** Loads the identities of a store's entries: once per distinct set of files, and on a reload only what changed. */
import path from 'node:path';
import { Secret } from '../../core/secret.ts';
import { type IdentitySource, type LoadedIdentity, loadIdentity } from '../identity/load.ts';
import type { PassphraseSource } from '../identity/passphrase.ts';
import { readableByEveryone } from '../identity/read-file.ts';
import type { TrustAnchors } from '../trust.ts';
import { each, fingerprints } from './files.ts';
import type { ParsedEntry } from './compile.ts';
import { TimeSlice } from '../../core/time-slice.ts';

/** Reading is asynchronous and checking is not: a few at a time keep the disk busy and let requests in between. */
const LOADS_AT_ONCE = 4;

/** What an entry names, with absolute paths. */
function sourceOf(entry: ParsedEntry, folder: string): IdentitySource {
  const at = (file: string | null) => (file === null ? null : { path: path.resolve(folder, file) });
  return {
    cert: at(entry.cert),
    key: at(entry.key),
    pfx: at(entry.pfx),
    alias: entry.alias,
    passphrase: passphraseSource(entry, folder),
  };
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
  for (const { cert, key, pfx, passphrase } of entries) {
    if (slice.over) await slice.next();
    const secret = passphrase && 'file' in passphrase ? passphrase.file : null;
    const named = [cert, key, pfx, secret].filter((file) => file !== null);
    files.push(named.map(resolve));
  }
  return files;
}

export class Identities {
  #loaded = new Map<string, LoadedIdentity>();

  /**
   * One result per entry, in their order. A result is used again while no file, passphrase or variable that it came from
   * changed; failures are tried again.
   * @param files of each entry
   * @param roots that the store trusts for every host
   */
  async load(
    entries: readonly ParsedEntry[],
    files: readonly (readonly string[])[],
    storeFile: string,
    roots: TrustAnchors,
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
    const results: LoadedIdentity[] = [];
    await each(wanted.entries(), LOADS_AT_ONCE, async ([slot, [key, entry]]) => {
      const known = this.#loaded.get(key);
      results[slot] = known?.identity ? known : await loadOne(entry, folder, roots);
    });
    this.#loaded = new Map(wanted.map(([key], slot) => [key, results[slot] as LoadedIdentity]));
    const exposed = isPublic(prints.get(storeFile));
    return entries.map((entry, i) => {
      const loaded = results[slotOf[i] ?? 0] as LoadedIdentity;
      if (!exposed || entry.passphrase === null || !('text' in entry.passphrase)) return loaded;
      return { ...loaded, problems: [...loaded.problems, readableByEveryone(storeFile)] };
    });
  }
}

async function loadOne(entry: ParsedEntry, folder: string, roots: TrustAnchors): Promise<LoadedIdentity> {
  // A command may ask its user for a fingerprint: not for an entry that is switched off.
  const asks = entry.passphrase !== null && 'command' in entry.passphrase;
  if (!entry.enabled && asks) return { identity: null, problems: [], file: null };
  return loadIdentity(sourceOf(entry, folder), roots);
}

/** Stays in this process: it holds the passphrase, as the text of the store does. */
function cacheKey(entry: ParsedEntry, files: readonly string[], prints: ReadonlyMap<string, string>): string {
  const { alias, passphrase, enabled } = entry;
  const variable = passphrase && 'env' in passphrase ? process.env[passphrase.env] : undefined;
  const secret = passphrase === null ? '' : JSON.stringify([passphrase, variable, enabled]);
  const roles = entry.pfx === null ? (entry.key === null ? 'c' : 'ck') : 'p';
  return [roles, alias ?? '', secret, ...files.flatMap((file) => [file, prints.get(file) ?? ''])].join('\0');
}

/** Whether others may read the file, by its fingerprint's last part. */
function isPublic(print: string | undefined): boolean {
  return (Number(print?.split(':').at(-1) ?? 0) & 0o004) !== 0 && process.platform !== 'win32';
}
