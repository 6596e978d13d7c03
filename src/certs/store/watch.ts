/**
 * Watches the folders of the store and of every file that it names, and asks for a reload when a name that matters changes.
 *
 * Folders and not files: a renamed-in file is another inode, and a watch on the old one is deaf. `fs.watch` and not chokidar:
 * all that is wanted is "something happened to this name", and chokidar 6.0.0 loses a folder that was removed and made again.
 * What happened is for the reload to find out, by comparing fingerprints.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import path from 'node:path';
import type { Watched } from './files.ts';

/** Editors and renewals write in bursts: wait for this much quiet … */
const quietMs = 100;
/** … but not for ever, where a file is written all the time. */
const longestWaitMs = 1_000;
/** Network file systems tell nothing of what other machines write; and a lost event must not last. */
const safetyNetMs = 30_000;

interface Watch {
  readonly inode: string;
  readonly watcher: FSWatcher;
  names: ReadonlySet<string>;
}

export class StoreWatcher {
  readonly #onChange: () => void;
  readonly #watches = new Map<string, Watch>();
  readonly #net: NodeJS.Timeout;
  #quiet: NodeJS.Timeout | null = null;
  #firstEvent = 0;
  #closed = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#net = setInterval(onChange, safetyNetMs).unref();
  }

  /** Watches these folders from now on, and no others. */
  update(watched: Watched): void {
    if (this.#closed) return;
    for (const [folder, watch] of this.#watches) {
      const names = watched.get(folder);
      if (names && inodeOf(folder) === watch.inode) watch.names = names;
      else this.#drop(folder);
    }
    for (const [folder, names] of watched) if (!this.#watches.has(folder)) this.#add(folder, names);
  }

  #add(folder: string, names: ReadonlySet<string>): void {
    const inode = inodeOf(folder);
    if (inode === null) return;
    try {
      const watcher = watch(folder, { persistent: false });
      const entry: Watch = { inode, watcher, names };
      const own = path.basename(folder);
      watcher.on('change', (_event, name) => {
        // Without a name, or with the folder's own, it may be anything.
        if (name === null || name.toString() === own || entry.names.has(name.toString())) this.#changed();
      });
      watcher.on('error', () => {
        this.#drop(folder);
        this.#changed();
      });
      this.#watches.set(folder, entry);
    } catch {
      // Not allowed, or no watches left (fs.inotify.max_user_watches): the safety net still sees changes.
    }
  }

  #drop(folder: string): void {
    this.#watches.get(folder)?.watcher.close();
    this.#watches.delete(folder);
  }

  #changed(): void {
    if (this.#closed) return;
    const now = performance.now();
    if (this.#quiet) clearTimeout(this.#quiet);
    else this.#firstEvent = now;
    const wait = Math.max(0, Math.min(quietMs, this.#firstEvent + longestWaitMs - now));
    this.#quiet = setTimeout(() => {
      this.#quiet = null;
      this.#onChange();
    }, wait).unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#net);
    if (this.#quiet) clearTimeout(this.#quiet);
    for (const folder of this.#watches.keys()) this.#drop(folder);
  }
}

/** Folders are few and in the kernel's cache: a synchronous stat takes microseconds. */
function inodeOf(folder: string): string | null {
  const stats = statSync(folder, { throwIfNoEntry: false, bigint: true });
  return stats?.isDirectory() ? `${stats.dev}:${stats.ino}` : null;
}
