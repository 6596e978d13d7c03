/**
 * Undo of a removal: certificates.yaml as it was, with its comments and its order, and the uploaded files. It is possible
 * while the file is exactly as the removal left it, so that no later change is lost.
 */
import { readFile } from 'node:fs/promises';
import { changeFile, conflict } from '../core/files/change-file.ts';
import { versionOf } from '../certs/store/edit.ts';
import type { Store } from '../certs/store/store.ts';
import { AdminError } from './problem.ts';
import type { KeptFile, Uploads } from './uploads.ts';

/** A user notices a wrong click within this time. The keys stay in memory, as those of the store do. */
const KEPT_MS = 10 * 60_000;
const MOST_KEPT = 20;

interface Removal {
  readonly before: string;
  /** Version of the text that the removal left. */
  readonly left: string;
  readonly files: readonly KeptFile[];
}

export class Removed {
  readonly #store: Store;
  readonly #uploads: Uploads;
  readonly #kept = new Map<string, Removal>();

  constructor(store: Store, uploads: Uploads) {
    this.#store = store;
    this.#uploads = uploads;
  }

  /** The text of the file where the current snapshot was made of it; else null, and the removal can't be undone. */
  async textBefore(): Promise<string | null> {
    const text = await readFile(this.#store.file, 'utf8').catch(() => null);
    return text !== null && versionOf(text) === this.#store.current.version ? text : null;
  }

  keep(name: string, removal: Removal): void {
    this.#kept.delete(name);
    this.#kept.set(name, removal);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? '');
    setTimeout(() => {
      if (this.#kept.get(name) === removal) this.#kept.delete(name);
    }, KEPT_MS).unref();
  }

  /** @throws AdminError 404 where nothing is kept; CodedError CONFLICT where the file has changed since */
  async restore(name: string): Promise<void> {
    const removal = this.#kept.get(name);
    if (!removal)
      throw new AdminError('NOT_FOUND', `the removal of ${name} can no longer be undone`, 'add the certificate again');
    const { before, left, files } = removal;
    await this.#uploads.putBack(files);
    try {
      await changeFile(this.#store.file, (text) => {
        if (versionOf(text) !== left) throw conflict(this.#store.file);
        return { text: before };
      });
    } catch (error) {
      await this.#uploads.discard(files.map((file) => file.name));
      throw error;
    }
    this.#kept.delete(name);
    await this.#store.reload();
  }
}
