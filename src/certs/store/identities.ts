/** Loads the identities of a store's entries: once per distinct set of files, and on a reload only what changed. */
import path from 'node:path';
import { Secret } from '../../core/secret.ts';
import { type IdentitySource, type LoadedIdentity, loadIdentity } from '../identity/load.ts';
import type { PassphraseSource } from '../identity/passphrase.ts';
import { readableByEveryone } from '../identity/read-file.ts';
import { digest, each, fingerprints } from './files.ts';
import type { ParsedEntry } from './parsed.ts';

/** Reading is asynchronous and checking is not: a few at a time keep the disk busy and let requests in between. */
const concurrency = 4;

/** What an entry names, with absolute paths. */
export function sourceOf(entry: ParsedEntry, folder: string): IdentitySource {
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

/** Every file that an entry names, absolute. */
export function filesOf(entry: ParsedEntry, folder: string): string[] {
  const passphrase = entry.passphrase && 'file' in entry.passphrase ? entry.passphrase.file : null;
  return [entry.cert, entry.key, entry.pfx, passphrase]
    .filter((file) => file !== null)
    .map((file) => path.resolve(folder, file));
}

export class Identities {
  #loaded = new Map<string, LoadedIdentity>();

  /**
   * One result per entry, in their order. A result is used again while no file, passphrase or variable that it came from
   * changed; failures are tried anew.
   */
  async load(entries: readonly ParsedEntry[], file: string): Promise<LoadedIdentity[]> {
    const folder = path.dirname(file);
    const prints = await fingerprints([file, ...entries.flatMap((entry) => filesOf(entry, folder))]);
    const storeIsPublic = (Number(prints.get(file)?.split(':')[5] ?? 0) & 0o004) !== 0 && process.platform !== 'win32';
    const keys = entries.map((entry) => cacheKey(entry, folder, prints));
    const wanted = new Map<string, ParsedEntry>();
    for (const [i, entry] of entries.entries()) wanted.set(keys[i] ?? '', entry);
    const next = new Map<string, LoadedIdentity>();
    await each(wanted, concurrency, async ([key, entry]) => {
      const known = this.#loaded.get(key);
      next.set(key, known?.identity ? known : await loadOne(entry, folder));
    });
    this.#loaded = next;
    return entries.map((entry, i) => {
      const loaded = next.get(keys[i] ?? '') as LoadedIdentity;
      if (!storeIsPublic || entry.passphrase === null || !('text' in entry.passphrase)) return loaded;
      return { ...loaded, problems: [...loaded.problems, readableByEveryone(file)] };
    });
  }
}

async function loadOne(entry: ParsedEntry, folder: string): Promise<LoadedIdentity> {
  // A command may ask its user for a fingerprint: not for an entry that is switched off.
  if (!entry.enabled && entry.passphrase && 'command' in entry.passphrase)
    return { identity: null, problems: [], file: null };
  return loadIdentity(sourceOf(entry, folder));
}

function cacheKey(entry: ParsedEntry, folder: string, prints: ReadonlyMap<string, string>): string {
  const { cert, key, pfx, alias, passphrase, enabled } = entry;
  const variable = passphrase && 'env' in passphrase ? (process.env[passphrase.env] ?? '') : '';
  const files = filesOf(entry, folder).map((file) => prints.get(file) ?? '');
  return digest([JSON.stringify([cert, key, pfx, alias, passphrase, variable, enabled]), ...files]);
}
