/**
 * Uploaded content is stored in `files/` of the home folder, with mode 0600, under a name that the daemon makes: no part of a
 * request becomes part of a path. A file is removed when no entry names it.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import type { EntrySource, StoreSnapshot } from '../certs/store/snapshot.ts';
import { nativeCode } from '../core/errors.ts';
import { AdminError } from './problem.ts';

export type UploadKind = 'pem' | 'key' | 'pfx' | 'pass' | 'ca';

export interface KeptFile {
  /** As the store names it. */
  readonly name: string;
  readonly content: Buffer;
}

const OURS = /^[0-9a-f]{32}\.(?:pem|key|pfx|pass|ca)$/;
const FOLDER = 'files';

export class Uploads {
  readonly #home: string;

  constructor(home: string) {
    this.#home = home;
  }

  /**
   * @returns the path as the store names it
   * @throws AdminError where `files/` is not a folder of the home
   */
  async keep(kind: UploadKind, content: Buffer | string): Promise<string> {
    const name = `${FOLDER}/${randomBytes(16).toString('hex')}.${kind}`;
    await this.#write(name, content);
    return name;
  }

  /** The content of those of an entry that are ours, for an undo. */
  async contentOf(source: EntrySource): Promise<readonly KeptFile[]> {
    const ours = filesOf(source).filter((file) => this.isOurs(file));
    return Promise.all(ours.map(async (name) => ({ name, content: await readFile(path.resolve(this.#home, name)) })));
  }

  /** A file that still exists, since another entry names it, is not changed. */
  async putBack(files: readonly KeptFile[]): Promise<void> {
    for (const { name, content } of files) {
      if (!this.isOurs(name)) continue;
      await this.#write(`${FOLDER}/${path.basename(name)}`, content).catch((error: unknown) => {
        if (nativeCode(error) !== 'EEXIST') throw error;
      });
    }
  }

  async #write(name: string, content: Buffer | string): Promise<void> {
    const folder = await this.#folder();
    // O_EXCL and O_NOFOLLOW: an existing file of that name is not ours.
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
    const handle = await open(path.join(folder, path.basename(name)), flags, 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async discard(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (this.isOurs(name)) await rm(path.resolve(this.#home, name), { force: true });
    }
  }

  /** Removes those of `before` that the store no longer names. */
  sweep(before: EntrySource, store: StoreSnapshot): Promise<readonly string[]> {
    return this.sweepFiles(filesOf(before), store);
  }

  async sweepFiles(files: readonly string[], store: StoreSnapshot): Promise<readonly string[]> {
    const named = new Set(store.entries.flatMap(({ source }) => filesOf(source)).map((file) => this.#absolute(file)));
    for (const file of anchorsOf(store)) named.add(this.#absolute(file));
    const gone = files.filter((file) => this.isOurs(file) && !named.has(this.#absolute(file)));
    await this.discard(gone);
    return gone;
  }

  /** Whether a path of the store is one that we made. */
  isOurs(file: string): boolean {
    const full = this.#absolute(file);
    return path.dirname(full) === path.join(this.#home, FOLDER) && OURS.test(path.basename(full));
  }

  #absolute(file: string): string {
    return path.resolve(this.#home, file);
  }

  async #folder(): Promise<string> {
    const folder = path.join(this.#home, FOLDER);
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (error) {
      if (nativeCode(error) !== 'EEXIST') throw error;
    }
    if ((await realpath(folder)) !== path.join(await realpath(this.#home), FOLDER))
      throw new AdminError(
        'FILES_ELSEWHERE',
        `${folder} leads out of the home folder`,
        `make it a folder of its own: rm ${folder}`,
      );
    return folder;
  }
}

/** Every file that an entry names. */
function filesOf({ cert, key, pfx, passphrase }: EntrySource): string[] {
  const secret = passphrase !== null && typeof passphrase === 'object' && 'file' in passphrase ? passphrase.file : null;
  return [cert, key, pfx, secret].filter((file) => typeof file === 'string');
}

export function anchorsOf({ sections }: StoreSnapshot): readonly string[] {
  return [...sections.trust.ca, ...sections.verification.rules.flatMap(({ trust }) => trust?.ca ?? [])];
}
