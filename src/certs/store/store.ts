/**
 * The certificate store: certificates.yaml -> one immutable snapshot in force, swapped whole.
 *
 * If a reload fails, the old snapshot stays. It fails on a mistake in the YAML and on CA certificates that can't be read;
 * a client certificate that can't be loaded is a problem of its entry, which then fails closed.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { dateProblems } from '../identity/chain.ts';
import { diagnosis } from '../identity/diagnosis.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import { buildSnapshot } from './build.ts';
import { changeBetween, isEmpty, type SectionPrints, type Signed, type StoreChange } from './changes.ts';
import { watchedFolders } from './files.ts';
import { filesOf, Identities } from './identities.ts';
import { parseOffThread } from './parse-off-thread.ts';
import { describeProblem, type ParsedEntry, type ParsedStore, type StoreProblem } from './parsed.ts';
import { compilePolicies } from './policies.ts';
import type { StoreEntry, StoreSnapshot } from './snapshot.ts';
import { storeTemplate } from './template.ts';
import { loadAnchors } from './anchors.ts';
import { StoreWatcher } from './watch.ts';

export type { StoreChange } from './changes.ts';
export { describeProblem, type StoreProblem } from './parsed.ts';

export interface StoreOptions {
  /** The path of certificates.yaml; made with 0600 and explaining comments where it is missing. */
  readonly file: string;
  /** After each swap, the first included. */
  readonly onLoaded?: (next: StoreSnapshot, previous: StoreSnapshot | null, change: StoreChange) => void;
  readonly onRejected?: (problems: readonly StoreProblem[]) => void;
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

interface Loaded {
  readonly snapshot: StoreSnapshot;
  readonly entries: ReadonlyMap<string, Signed>;
  readonly sections: SectionPrints;
  readonly lines: string;
}

class FileStore implements Store {
  readonly file: string;
  readonly #options: StoreOptions;
  readonly #identities = new Identities();
  readonly #watcher: StoreWatcher | null;
  #queue: Promise<unknown> = Promise.resolve();
  #loaded: Loaded | null = null;
  #rejection: Rejection | null = null;
  /** The last text that validated, so that a renewed certificate costs no parsing. */
  #parsed: { readonly text: string; readonly store: ParsedStore } | null = null;
  /** When each renewal that is under way was first seen. */
  readonly #renewals = new Map<string, number>();
  #graceTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: StoreOptions) {
    this.file = options.file;
    this.#options = options;
    this.#watcher = options.watch === false ? null : new StoreWatcher(() => void this.#enqueue(true));
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

  #enqueue(graceful: boolean): Promise<ReloadResult> {
    const run = this.#queue.then(() => this.#reload(graceful));
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #reload(graceful: boolean): Promise<ReloadResult> {
    if (this.#closed && this.#loaded) return this.#result();
    const parsed = await this.#parse();
    if (!parsed.ok) return this.#reject(parsed.problems);
    const { store } = parsed;
    const folder = path.dirname(this.file);
    const anchors = await loadAnchors(store, this.file);
    const named = [...store.entries.flatMap((entry) => filesOf(entry, folder)), ...anchors.files];
    // Before reading, so that a change while it reads is not missed.
    this.#watcher?.update(await watchedFolders([this.file, ...named]));
    if (!anchors.ok) return this.#reject(anchors.problems);
    const identities = await this.#identities.load(store.entries, this.file);
    const policies = compilePolicies(store, anchors.of);
    const entries = new Map<string, Signed>();
    for (const [i, entry] of store.entries.entries()) {
      const loaded = this.#renewing(entry, identities[i] as LoadedIdentity, graceful);
      entries.set(entry.name, { entry: storeEntry(entry, loaded, i), signature: entry.signature });
    }
    this.#armGrace();
    const sections = sectionPrints(store, policies.global.plain.trust.id);
    const lines = store.entries.map((entry) => entry.line).join();
    const change = changeBetween(this.#loaded, { entries, sections });
    const previous = this.#loaded;
    const recovered = this.#rejection !== null;
    this.#rejection = null;
    if (previous && !recovered && isEmpty(change) && previous.lines === lines) return this.#result(change);
    const generation = (previous?.snapshot.generation ?? 0) + 1;
    const snapshot = buildSnapshot({
      generation,
      entries: [...entries.values()].map(({ entry }) => entry),
      sections: store,
      policies,
    });
    this.#loaded = { snapshot, entries, sections, lines };
    this.#options.onLoaded?.(snapshot, previous?.snapshot ?? null, change);
    return { ok: true, snapshot, change };
  }

  #result(change: StoreChange = changeBetween(this.#loaded, this.#loaded as Loaded)): ReloadResult {
    return { ok: true, snapshot: this.current, change };
  }

  async #parse(): Promise<{ ok: true; store: ParsedStore } | { ok: false; problems: readonly StoreProblem[] }> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      const message = `the file can't be read: ${nativeCode(error) ?? 'unknown error'}`;
      return {
        ok: false,
        problems: [{ file: this.file, line: 1, column: 1, message, expected: 'a file that the daemon may read' }],
      };
    }
    if (this.#parsed?.text === text) return { ok: true, store: this.#parsed.store };
    const outcome = await parseOffThread(text, this.file);
    if (outcome.ok) this.#parsed = { text, store: outcome.store };
    return outcome;
  }

  #reject(problems: readonly StoreProblem[]): ReloadResult {
    const repeated = this.#rejection !== null && JSON.stringify(this.#rejection.problems) === JSON.stringify(problems);
    this.#rejection = { at: repeated && this.#rejection ? this.#rejection.at : new Date(), problems };
    if (!repeated) this.#options.onRejected?.(problems);
    return { ok: false, problems };
  }

  /**
   * Certificate and key are often replaced one after the other. In between they don't fit, and failing closed for a moment
   * would fail requests: the identity in use stays until they fit, or the grace is over.
   */
  #renewing(entry: ParsedEntry, loaded: LoadedIdentity, graceful: boolean): LoadedIdentity {
    const old = this.#loaded?.entries.get(entry.name);
    const identity = old?.signature === entry.signature ? old.entry.identity : null;
    if (loaded.identity || !identity || !graceful) {
      this.#renewals.delete(entry.name);
      return loaded;
    }
    const since = this.#renewals.get(entry.name) ?? Date.now();
    this.#renewals.set(entry.name, since);
    const graceMs = this.#options.renewalGraceMs ?? defaultRenewalGraceMs;
    if (Date.now() - since >= graceMs) return loaded;
    const [fault] = loaded.problems;
    const note = diagnosis(
      'RENEWAL_INCOMPLETE',
      loaded.file,
      `the files changed and can't be used yet (${fault?.message}); the certificate before is used for ${graceMs / 1000} s from the change`,
      'put the matching certificate and key in place',
    );
    return { identity, problems: [note], file: loaded.file };
  }

  #armGrace(): void {
    if (this.#graceTimer) clearTimeout(this.#graceTimer);
    this.#graceTimer = null;
    const waiting = [...this.#renewals.values()].map(
      (since) => since + (this.#options.renewalGraceMs ?? defaultRenewalGraceMs) - Date.now(),
    );
    const next = Math.min(...waiting.filter((ms) => ms > 0));
    if (this.#closed || !Number.isFinite(next)) return;
    this.#graceTimer = setTimeout(() => void this.#enqueue(true), next).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    if (this.#graceTimer) clearTimeout(this.#graceTimer);
    await this.#queue;
  }
}

function storeEntry(entry: ParsedEntry, loaded: LoadedIdentity, index: number): StoreEntry {
  const { identity, file } = loaded;
  return {
    name: entry.name,
    host: entry.host,
    port: entry.port,
    enabled: entry.enabled,
    profile: entry.profile,
    withholdUnverified: entry.withholdUnverified,
    identity,
    // What depends on the date is told as of now, however long ago the entry was loaded.
    get problems() {
      return identity ? [...loaded.problems, ...dateProblems(identity.leaf, file)] : loaded.problems;
    },
    index,
    line: entry.line,
  };
}

function sectionPrints({ trust, mode, rules, interception }: ParsedStore, trustId: string): SectionPrints {
  const plain = (value: unknown) =>
    JSON.stringify(value, (key, v: unknown) => (key === 'line' || key === 'column' ? undefined : v));
  return { trust: plain([trust, trustId]), verification: plain([mode, rules]), interception: plain(interception) };
}

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
