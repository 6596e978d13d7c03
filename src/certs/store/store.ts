/**
 * The certificate store: certificates.yaml -> one immutable snapshot in force, swapped whole.
 *
 * If a reload fails, the old snapshot stays. It fails on a mistake in the YAML and on CA certificates that can't be read;
 * a client certificate that can't be loaded is a problem of its entry, which then fails closed.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import { loadAnchors } from './anchors.ts';
import { buildSnapshot } from './build.ts';
import { changeBetween, type Comparable, isEmpty, sectionPrints, type StoreChange } from './changes.ts';
import { type EditOptions, editStore, type StoreEdit, versionOf } from './edit.ts';
import { storeEntry } from './entry.ts';
import { watchedFolders } from './files.ts';
import { filesOf, Identities } from './identities.ts';
import { parseOffThread } from './parse-off-thread.ts';
import { describeProblem, type ParsedEntry, type ParsedStore, type StoreProblem } from './parsed.ts';
import { compilePolicies } from './policies.ts';
import { Renewals } from './renewals.ts';
import type { StoreEntry, StoreSnapshot } from './snapshot.ts';
import { storeTemplate } from './template.ts';
import { Turns } from './turns.ts';
import { StoreWatcher } from './watch.ts';

export type { StoreChange } from './changes.ts';
export { describeProblem, type StoreProblem } from './parsed.ts';

export interface StoreOptions {
  /** The path of certificates.yaml; made with 0600 and explaining comments where it is missing. */
  readonly file: string;
  /** After each swap, the first included. */
  readonly onLoaded?: (next: StoreSnapshot, previous: StoreSnapshot | null, change: StoreChange) => void;
  readonly onRejected?: (problems: readonly StoreProblem[]) => void;
  /** For a reload that failed by a fault of ours; it is rejected like any other. */
  readonly onFault?: (error: unknown) => void;
  /** Reload on changes; true when left out. */
  readonly watch?: boolean;
  /** How long a certificate stays in use whose files changed and don't fit together yet; 10 s when left out. */
  readonly renewalGraceMs?: number;
}

export type ReloadResult =
  | { readonly ok: true; readonly snapshot: StoreSnapshot; readonly change: StoreChange }
  | { readonly ok: false; readonly problems: readonly StoreProblem[] };

export interface Rejection {
  readonly at: Date;
  readonly problems: readonly StoreProblem[];
}

export interface Store {
  readonly file: string;
  readonly current: StoreSnapshot;
  /** Why the file as it is now is not in force; null where it is. */
  readonly lastRejection: Rejection | null;
  /** Reads everything anew, now. Calls one after another; each sees the file as it is after the call. */
  reload(): Promise<ReloadResult>;
  /**
   * Changes the file and puts it in force.
   * @throws EditError; nothing has changed then
   */
  edit(edit: StoreEdit, options?: EditOptions): Promise<ReloadResult>;
  close(): Promise<void>;
}

/** A person who copies two files by hand needs a few seconds between them; a certificate that is gone for good is not used for longer. */
const defaultRenewalGraceMs = 10_000;

/** @throws MtlsdError BAD_CONFIGURATION with a line per mistake where the file does not validate */
export async function openStore(options: StoreOptions): Promise<Store> {
  const file = path.resolve(options.file);
  await createMissing(file);
  const store = new FileStore({ ...options, file });
  const first = await store.reload();
  if (!first.ok) {
    await store.close();
    throw new MtlsdError('BAD_CONFIGURATION', first.problems.map(describeProblem).join('\n'));
  }
  return store;
}

/** The file as text and as data. */
interface Parsed {
  readonly text: string;
  readonly store: ParsedStore;
}

interface Loaded extends Comparable {
  readonly snapshot: StoreSnapshot;
  /** What the entries were made of, in their order. */
  readonly parsed: readonly ParsedEntry[];
  readonly identities: readonly LoadedIdentity[];
}

class FileStore implements Store {
  readonly file: string;
  readonly #options: StoreOptions;
  readonly #identities = new Identities();
  readonly #renewals: Renewals;
  readonly #watcher: StoreWatcher | null;
  #queue: Promise<unknown> = Promise.resolve();
  #loaded: Loaded | null = null;
  #rejection: Rejection | null = null;
  /** The last text that validated, so that a renewed certificate costs no parsing. */
  #parsed: Parsed | null = null;
  #graceTimer: NodeJS.Timeout | null = null;
  #waiting: Promise<ReloadResult> | null = null;
  #closed = false;

  constructor(options: StoreOptions) {
    this.file = options.file;
    this.#options = options;
    this.#renewals = new Renewals(options.renewalGraceMs ?? defaultRenewalGraceMs);
    this.#watcher = options.watch === false ? null : new StoreWatcher(() => void this.#soon());
  }

  get current(): StoreSnapshot {
    if (!this.#loaded) throw new Error('the store is not open');
    return this.#loaded.snapshot;
  }

  get lastRejection(): Rejection | null {
    return this.#rejection;
  }

  reload(): Promise<ReloadResult> {
    return this.#enqueue(false);
  }

  async edit(edit: StoreEdit, options?: EditOptions): Promise<ReloadResult> {
    await editStore(this.file, edit, options);
    return this.#enqueue(true);
  }

  #enqueue(graceful: boolean): Promise<ReloadResult> {
    const run = this.#queue.then(() => this.#reload(graceful)).catch((error: unknown) => this.#failed(error));
    this.#queue = run;
    return run;
  }

  /** For events: one that waits its turn will see whatever happens until then. */
  #soon(): Promise<ReloadResult> {
    this.#waiting ??= this.#queue.then(() => {
      this.#waiting = null;
      return this.#enqueue(true);
    });
    return this.#waiting;
  }

  async #reload(graceful: boolean): Promise<ReloadResult> {
    if (this.#closed && this.#loaded) return { ok: true, snapshot: this.#loaded.snapshot, change: nothing };
    const parsed = await this.#parse();
    if (!parsed.ok) return this.#reject(parsed.problems);
    const { store, text } = parsed;
    const files = await filesOf(store.entries, path.dirname(this.file));
    const anchors = await loadAnchors(store, this.file);
    // Before reading, so that a change while it reads is not missed.
    this.#watcher?.update(await watchedFolders([this.file, ...files.flat(), ...anchors.files]));
    if (!anchors.ok) return this.#reject(anchors.problems);
    const { entries, identities } = await this.#loadEntries(store, files, graceful);
    const policies = compilePolicies(store, anchors.of);
    const sections = sectionPrints(store, policies.global.plain.trust.id);
    const next: Comparable = { entries, sections };
    const previous = this.#loaded;
    const change = await changeBetween(previous, next);
    const version = versionOf(text);
    const recovered = this.#rejection !== null;
    this.#rejection = null;
    if (previous && !recovered && isEmpty(change) && previous.snapshot.version === version)
      return { ok: true, snapshot: previous.snapshot, change };
    const generation = (previous?.snapshot.generation ?? 0) + 1;
    const snapshot = await buildSnapshot({
      generation,
      version,
      entries,
      sections: store,
      policies,
    });
    this.#loaded = { ...next, snapshot, parsed: store.entries, identities };
    this.#options.onLoaded?.(snapshot, previous?.snapshot ?? null, change);
    return { ok: true, snapshot, change };
  }

  async #loadEntries(store: ParsedStore, files: readonly (readonly string[])[], graceful: boolean) {
    const before = this.#loaded;
    const loaded = await this.#identities.load(store.entries, files, this.file);
    const turns = new Turns();
    const entries = new Map<string, StoreEntry>();
    const identities: LoadedIdentity[] = [];
    for (const [i, parsed] of store.entries.entries()) {
      if (turns.over) await turns.next();
      const old = before?.entries.get(parsed.name);
      const identity = this.#renewals.settle(parsed, loaded[i] ?? noIdentity, old, graceful);
      identities.push(identity);
      // The same object where nothing changed: cheap to compare, and nothing to collect.
      const same = old?.index === i && before?.parsed[i] === parsed && before.identities[i] === identity;
      entries.set(parsed.name, same ? old : storeEntry(parsed, identity, i));
    }
    this.#armGrace();
    return { entries, identities };
  }

  async #parse(): Promise<({ ok: true } & Parsed) | { ok: false; problems: readonly StoreProblem[] }> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      const message = `the file can't be read: ${nativeCode(error) ?? 'unknown error'}`;
      const expected = 'a file that the daemon may read';
      return { ok: false, problems: [{ file: this.file, line: 1, column: 1, message, expected }] };
    }
    if (this.#parsed?.text === text) return { ok: true, ...this.#parsed };
    const outcome = await parseOffThread(text, this.file, this.#loaded?.parsed);
    if (!outcome.ok) return outcome;
    this.#parsed = { text, store: outcome.store };
    return { ok: true, ...this.#parsed };
  }

  #reject(problems: readonly StoreProblem[]): ReloadResult {
    const repeated = this.#rejection !== null && JSON.stringify(this.#rejection.problems) === JSON.stringify(problems);
    this.#rejection = { at: repeated && this.#rejection ? this.#rejection.at : new Date(), problems };
    if (!repeated) this.#options.onRejected?.(problems);
    return { ok: false, problems };
  }

  /** A fault of ours, or of a callback: the last good store stays, as for any other. */
  #failed(error: unknown): ReloadResult {
    this.#options.onFault?.(error);
    const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
    return this.#reject([
      { file: this.file, line: 1, column: 1, message, expected: 'no fault of mtlsd; please report it' },
    ]);
  }

  #armGrace(): void {
    if (this.#graceTimer) clearTimeout(this.#graceTimer);
    const ms = this.#renewals.nextEndMs();
    this.#graceTimer = ms === null || this.#closed ? null : setTimeout(() => void this.#soon(), ms).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    if (this.#graceTimer) clearTimeout(this.#graceTimer);
    await this.#queue;
  }
}

const noIdentity: LoadedIdentity = { identity: null, problems: [], file: null };

const nothing: StoreChange = { entries: 0, usable: 0, added: [], changed: [], removed: [], sections: [] };

async function createMissing(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(storeTemplate);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (nativeCode(error) !== 'EEXIST') {
      throw new MtlsdError('BAD_CONFIGURATION', `${file} can't be made: ${nativeCode(error) ?? 'unknown error'}`, {
        hint: 'check who may write in its folder, or name another with --home',
        cause: error,
      });
    }
  }
}
