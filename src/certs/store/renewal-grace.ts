/**
 * Certificate and key are often replaced one after the other, and don't match in between. The current identity stays until they
 * match or the grace is over, so that no request fails in that time.
 */
import { diagnosis } from '../identity/diagnosis.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import type { ParsedEntry } from './compile.ts';
import type { StoreEntry } from './snapshot.ts';

export class RenewalGrace {
  readonly #graceMs: number;
  /** Entry name -> when the files stopped matching (performance.now()). */
  readonly #since = new Map<string, number>();

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** @param old the current entry of that name */
  identityFor(
    entry: ParsedEntry,
    loaded: LoadedIdentity,
    old: StoreEntry | undefined,
    graceful: boolean,
  ): LoadedIdentity {
    const identity = old?.etag === entry.signature ? old.identity : null;
    if (loaded.identity || !identity || !graceful) {
      this.#since.delete(entry.name);
      return loaded;
    }
    const since = this.#since.get(entry.name) ?? performance.now();
    this.#since.set(entry.name, since);
    if (performance.now() - since >= this.#graceMs) return loaded;
    const [fault] = loaded.problems;
    const message = `the files changed and can't be used yet (${fault?.message}); the certificate before is used for ${this.#graceMs / 1000} s from the change`;
    const note = diagnosis('RENEWAL_INCOMPLETE', loaded.file, message, 'put the matching certificate and key in place');
    return { identity, problems: [note], file: loaded.file };
  }

  /** When the next grace ends, in ms from now; null where none is running. */
  nextEndMs(): number | null {
    const ends = [...this.#since.values()]
      .map((since) => since + this.#graceMs - performance.now())
      .filter((ms) => ms > 0);
    return ends.length > 0 ? Math.min(...ends) : null;
  }
}
