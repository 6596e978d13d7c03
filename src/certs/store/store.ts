/**
 * The certificate store: certificates.yaml -> one immutable current snapshot, swapped whole.
 *
 * If a reload fails, the old snapshot stays. It fails on a mistake in the YAML and on CA certificates that can't be read;
 * a client certificate that can't be loaded is a problem of its entry, which then fails closed.
 */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { badConfiguration, nativeCode } from '../../core/errors.ts';
import { createFile } from '../../core/files/atomic-write.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import { describeProblem, type FileProblem } from '../../core/yaml/read.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import type { TrustAnchors } from '../trust.ts';
import { CrlBook } from '../../core/revocation/book.ts';
import { loadAnchors } from './anchors.ts';
import { buildSnapshot, storeEntry } from './build.ts';
import { changeBetween, type Comparable, isEmpty, sectionPrints, type StoreChange } from './changes.ts';
import type { ParsedEntry, ParsedStore, ParsedTrust, ParseOutcome, RevocationSetting } from './compile.ts';
import { type CrlFile, crlSources, loadCrls } from './crls.ts';
import { type EditOptions, editStore, versionOf } from './edit.ts';
import type { StoreEdit } from './edit-value.ts';
import { watchedFolders } from './files.ts';
import { filesOf, Identities, renewalPlan } from './identities.ts';
import { parseOffThread } from './parse-thread.ts';
import { compilePolicies, type RevocationPolicy } from './policy.ts';
import { RenewalGrace } from './renewal-grace.ts';
import type { StoreEntry, StoreSnapshot } from './snapshot.ts';
import { storeTemplate } from './template.ts';
import { StoreWatcher } from './watch.ts';

export type { FileProblem as StoreProblem } from '../../core/yaml/read.ts';
export type { StoreChange } from './changes.ts';

export interface StoreOptions {
  /** The path of certificates.yaml; made with 0600 and explaining comments where it is missing. */
  readonly file: string;
  /** After each swap, the first included. */
  readonly onLoaded?: (next: StoreSnapshot, previous: StoreSnapshot | null, change: StoreChange) => void;
  readonly onRejected?: (problems: readonly FileProblem[]) => void;
  /** For a reload that failed by a fault of mtlsd; it is rejected like any other. */
  readonly onFault?: (error: unknown) => void;
  /** Reload on changes; true when left out. */
  readonly watch?: boolean;
  /** How long a certificate stays in use while its changed files don't match yet; 10 s when left out. */
  readonly renewalGraceMs?: number;
}

export type ReloadResult =
  | { readonly ok: true; readonly snapshot: StoreSnapshot; readonly change: StoreChange }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

export interface Rejection {
  readonly at: Date;
  readonly problems: readonly FileProblem[];
}

export interface Store {
  readonly file: string;
  readonly current: StoreSnapshot;
  /** The CRLs that it names; those of files are in it, those of URLs are put there. */
  readonly crls: CrlBook;
  /** When `current` took effect. */
  readonly loadedAt: Date;
  /** Why the current file is not used; null where it is. */
  readonly lastRejection: Rejection | null;
  /**
   * Reads everything again, now. Calls run one after another; each reads the file after the call.
   * @param gently as after a change of a file: a certificate with files that don't match stays for its grace, and programs run
   *   again only when their refresh is due
   */
  reload(gently?: boolean): Promise<ReloadResult>;
  /**
   * Changes the file and loads it.
   * @throws CodedError of EditErrorCode; nothing has changed then
   */
  edit(edit: StoreEdit, options?: EditOptions): Promise<ReloadResult>;
  close(): Promise<void>;
}

/** Long enough to copy two files manually. */
const DEFAULT_GRACE_MS = 10_000;

/** After a sleep of the machine, what is due is read again within this time. */
const LONGEST_WAIT_MS = 30_000;

/** @throws MtlsdError BAD_CONFIGURATION with a line per mistake where the file does not validate */
export async function openStore(options: StoreOptions): Promise<Store> {
  const file = path.resolve(options.file);
  await createMissing(file);
  const store = new FileStore({ ...options, file });
  const first = await store.reload();
  if (!first.ok) {
    await store.close();
    throw badConfiguration(first.problems.map(describeProblem).join('\n'));
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
  readonly crls = new CrlBook();
  #crlFiles: ReadonlyMap<string, CrlFile> = new Map();
  readonly #identities = new Identities();
  readonly #grace: RenewalGrace;
  readonly #watcher: StoreWatcher | null;
  #queue: Promise<unknown> = Promise.resolve();
  #loaded: Loaded | null = null;
  #rejection: Rejection | null = null;
  #loadedAt = new Date();
  /** The last text that validated, so that a renewed certificate costs no parsing. */
  #parsed: Parsed | null = null;
  #timer: NodeJS.Timeout | null = null;
  #waiting: Promise<ReloadResult> | null = null;
  #closed = false;

  constructor(options: StoreOptions) {
    this.file = options.file;
    this.#options = options;
    this.#grace = new RenewalGrace(options.renewalGraceMs ?? DEFAULT_GRACE_MS);
    this.#watcher = options.watch === false ? null : new StoreWatcher(() => void this.#soon());
  }

  get current(): StoreSnapshot {
    if (!this.#loaded) throw new Error('the store is not open');
    return this.#loaded.snapshot;
  }

  get loadedAt(): Date {
    return this.#loadedAt;
  }

  get lastRejection(): Rejection | null {
    return this.#rejection;
  }

  reload(gently = false): Promise<ReloadResult> {
    return this.#enqueue(gently);
  }

  async edit(edit: StoreEdit, options?: EditOptions): Promise<ReloadResult> {
    const { text, store } = await editStore(this.file, edit, options);
    this.#parsed = { text, store };
    return this.#enqueue(true);
  }

  #enqueue(graceful: boolean): Promise<ReloadResult> {
    const run = this.#queue.then(() => this.#reload(graceful)).catch((error: unknown) => this.#failed(error));
    this.#queue = run;
    return run;
  }

  /** For events: a queued reload includes all changes until it starts. */
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
    const crls = await loadCrls(store, this.file, this.#crlFiles);
    // Before reading, so that a change while it reads is not missed.
    this.#watcher?.update(await watchedFolders([this.file, ...files.flat(), ...anchors.files, ...crls.files]));
    if (!anchors.ok) return this.#reject(anchors.problems);
    if (!crls.ok) return this.#reject(crls.problems);
    const roots = anchors.of(store.trust);
    const { entries, identities } = await this.#loadEntries(store, files, anchors.of, graceful);
    const policies = compilePolicies(store, anchors.of, (mode, trusts) => this.#revocation(mode, trusts));
    const sections = sectionPrints(store, roots.id, crls.read);
    const next: Comparable = { entries, sections };
    const previous = this.#loaded;
    const change = await changeBetween(previous, next);
    const version = versionOf(text);
    const recovered = this.#rejection !== null;
    this.#rejection = null;
    if (previous && !recovered && isEmpty(change) && previous.snapshot.version === version)
      return { ok: true, snapshot: previous.snapshot, change };
    // Before any listener is called: connections that are verified from now on use these.
    this.#crlFiles = crls.read;
    for (const [file, { crls: own }] of crls.read) this.crls.put(file, own);
    this.crls.retain(crls.sources);
    const generation = (previous?.snapshot.generation ?? 0) + 1;
    const snapshot = await buildSnapshot({
      generation,
      version,
      entries,
      sections: store,
      policies,
    });
    this.#loaded = { ...next, snapshot, parsed: store.entries, identities };
    this.#loadedAt = new Date();
    this.#options.onLoaded?.(snapshot, previous?.snapshot ?? null, change);
    return { ok: true, snapshot, change };
  }

  #revocation(mode: RevocationSetting, trusts: readonly ParsedTrust[]): RevocationPolicy {
    const sources = crlSources(trusts, path.dirname(this.file));
    return {
      mode,
      sources,
      crls: (issuer) => this.crls.of(issuer, sources),
      learn: (issuers) => {
        if (sources.length > 0) for (const issuer of issuers) this.crls.learn(issuer);
      },
    };
  }

  async #loadEntries(
    store: ParsedStore,
    files: readonly (readonly string[])[],
    trust: (trust: ParsedTrust) => TrustAnchors,
    graceful: boolean,
  ) {
    const before = this.#loaded;
    const folder = path.dirname(this.file);
    const loaded = await this.#identities.load(store.entries, files, this.file, trust(store.trust), !graceful);
    const slice = new TimeSlice();
    const entries = new Map<string, StoreEntry>();
    const identities: LoadedIdentity[] = [];
    for (const [i, parsed] of store.entries.entries()) {
      if (slice.over) await slice.next();
      const old = before?.entries.get(parsed.name);
      const identity = this.#grace.identityFor(parsed, loaded[i] ?? noIdentity, old, graceful);
      identities.push(identity);
      // The same object where nothing changed is cheap to compare and leaves no garbage.
      const anchors = parsed.renewal ? trust(parsed.renewal.trust ?? store.trust) : null;
      const same =
        old?.index === i &&
        before?.parsed[i] === parsed &&
        before.identities[i] === identity &&
        (old.renew?.trust ?? null) === anchors;
      const plan = anchors && renewalPlan(parsed, folder, anchors);
      entries.set(parsed.name, same ? old : storeEntry(parsed, identity, plan, i));
    }
    this.#armTimer();
    return { entries, identities };
  }

  async #parse(): Promise<({ ok: true } & Parsed) | (ParseOutcome & { ok: false })> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      const message = `the file can't be read: ${nativeCode(error) ?? 'unknown error'}`;
      return { ok: false, problems: [this.#problem(message, 'a file that the daemon may read')] };
    }
    if (this.#parsed?.text !== text) {
      const outcome = await parseOffThread(text, this.file, this.#loaded?.parsed);
      if (!outcome.ok) return outcome;
      this.#parsed = { text, store: outcome.store };
    }
    return { ok: true, ...this.#parsed };
  }

  #problem(message: string, expected: string): FileProblem {
    return { file: this.file, line: 1, column: 1, message, expected };
  }

  #reject(problems: readonly FileProblem[]): ReloadResult {
    const repeated = this.#rejection !== null && JSON.stringify(this.#rejection.problems) === JSON.stringify(problems);
    this.#rejection = { at: repeated && this.#rejection ? this.#rejection.at : new Date(), problems };
    if (!repeated) this.#options.onRejected?.(problems);
    return { ok: false, problems };
  }

  /** A fault of mtlsd or of a callback: the last good store stays. */
  #failed(error: unknown): ReloadResult {
    this.#options.onFault?.(error);
    const message = `the reload failed: ${error instanceof Error ? error.message : String(error)}`;
    return this.#reject([this.#problem(message, 'no fault of mtlsd; please report it')]);
  }

  /** For the end of a grace, and for the next refresh of a program's output. */
  #armTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const times = [this.#grace.nextEndMs(), this.#identities.nextRefreshMs()].filter((ms) => ms !== null);
    // setTimeout fires at once beyond 2^31 ms; an extra reload does no harm.
    const ms = Math.min(...times, LONGEST_WAIT_MS);
    this.#timer = times.length === 0 || this.#closed ? null : setTimeout(() => void this.#soon(), ms).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher?.close();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#queue;
  }
}

const noIdentity: LoadedIdentity = { identity: null, problems: [], file: null };

const nothing: StoreChange = { entries: 0, usable: 0, added: [], changed: [], removed: [], sections: [] };

async function createMissing(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  try {
    await createFile(file, storeTemplate, 0o600);
  } catch (error) {
    throw badConfiguration(
      `${file} can't be made: ${nativeCode(error) ?? 'unknown error'}`,
      'check who may write in its folder, or name another with --home',
      error,
    );
  }
}
