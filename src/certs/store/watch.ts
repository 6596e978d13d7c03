/**
 * Watches the folders of the store and of every file that it names, and asks for a reload when a name that matters changes.
 *
 * It watches folders, since a file that is renamed into place has another inode. It uses `fs.watch`: chokidar 6.0.0 loses a
 * folder that was removed and made again. The reload finds out what changed by comparing fingerprints.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import path from 'node:path';
import type { Watched } from './files.ts';

/** Editors and renewals write in bursts: a reload waits for this pause. */
const QUIET_MS = 100;
/** A file that is written all the time is reloaded this often. */
const LONGEST_WAIT_MS = 1_000;
/** Network file systems send no events for what other machines write, and an event may be lost. */
const SAFETY_NET_MS = 30_000;

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
    this.#net = setInterval(onChange, SAFETY_NET_MS).unref();
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
    const wait = Math.max(0, Math.min(QUIET_MS, this.#firstEvent + LONGEST_WAIT_MS - now));
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

/**
 * Folders are few and in the kernel's cache: a synchronous stat takes microseconds. null where there is no folder, and where
 * it can't be looked at (EACCES, ESTALE): the reload continues, and the entry reports the error.
 */
function inodeOf(folder: string): string | null {
  try {
    const stats = statSync(folder, { bigint: true });
    return stats.isDirectory() ? `${stats.dev}:${stats.ino}` : null;
  } catch {
    return null;
  }
}
