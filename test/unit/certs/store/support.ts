import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import {
  openStore,
  type Store,
  type StoreChange,
  type StoreOptions,
  type StoreProblem,
} from '../../../../src/certs/store/store.ts';
import type { StoreSnapshot } from '../../../../src/certs/store/snapshot.ts';

/** A new folder, removed after the test. */
export function folderFor(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'mtlsd-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Loaded {
  readonly next: StoreSnapshot;
  readonly change: StoreChange;
}

/** A store whose reloads can be waited for one by one; each event is given once. */
export class Watched {
  store!: Store;
  readonly #loaded = new Events<Loaded>();
  readonly #rejected = new Events<readonly StoreProblem[]>();

  static async open(file: string, text: string | null, options: Partial<StoreOptions> = {}): Promise<Watched> {
    if (text !== null) writeFileSync(file, text, { mode: 0o600 });
    const watched = new Watched();
    watched.store = await openStore({
      file,
      onLoaded: (next, _previous, change) => watched.#loaded.push({ next, change }),
      onRejected: (problems) => watched.#rejected.push(problems),
      ...options,
    });
    onTestFinished(() => watched.store.close());
    await watched.loaded(); // the first
    return watched;
  }

  loaded(): Promise<Loaded> {
    return this.#loaded.next();
  }

  rejected(): Promise<readonly StoreProblem[]> {
    return this.#rejected.next();
  }

  /** Events that no test has waited for. */
  get unseen(): { loaded: number; rejected: number } {
    return { loaded: this.#loaded.waiting, rejected: this.#rejected.waiting };
  }
}

class Events<T> {
  readonly #past: T[] = [];
  readonly #takers: ((event: T) => void)[] = [];

  get waiting(): number {
    return this.#past.length;
  }

  push(event: T): void {
    const taker = this.#takers.shift();
    if (taker) taker(event);
    else this.#past.push(event);
  }

  /** The next event, or the first that came already. The watcher's timers don't keep a process alive; this does. */
  async next(): Promise<T> {
    const past = this.#past.shift();
    if (past !== undefined) return past;
    const alive = setInterval(() => undefined, 1000);
    try {
      return await new Promise<T>((resolve) => this.#takers.push(resolve));
    } finally {
      clearInterval(alive);
    }
  }
}
