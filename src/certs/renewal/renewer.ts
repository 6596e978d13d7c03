/**
 * Renews the certificates of the store when it is time. Each entry with `renew:` is in one of five states:
 *
 * | state | until | then |
 * |---|---|---|
 * | waiting | its share of the lifetime has passed | running |
 * | running | the attempt ends, at the latest at its time limit | waiting, retrying, pending |
 * | retrying | the time of the next try | running |
 * | pending | the time that the CA asked for | running, with the same request |
 * | impossible | the store changes: its files can't be replaced | waiting |
 *
 * A new certificate, from wherever, puts an entry back to waiting. Times are compared with the wall clock every 30 seconds, so
 * a suspend or a clock that is set changes nothing.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { Authority } from '../../core/authority.ts';
import { certificateFacts } from '../../core/facts.ts';
import type { Diagnosis } from '../identity/identity.ts';
import { attemptRenewal, completeInterrupted, type Outcome, type PendingRequest, rehearseRenewal } from './attempt.ts';
import { asRenewalFault, RenewalFault } from './fault.ts';
import { forget, readHistory, type Remembered, writeHistory } from './history.ts';
import type { RenewalEntry } from './plan.ts';
import { dueAfterRenewal, dueAt, nextLookMs, notBeyond, retryAt } from './schedule.ts';

export interface RenewalNotice {
  readonly name: string;
  readonly subject: string;
  readonly via: 'est' | 'step' | 'command';
  readonly fingerprintBefore: string;
  readonly notAfter: Date;
  /** When it is renewed again. */
  readonly next: Date;
}

export interface Renewed extends RenewalNotice {
  readonly fingerprintAfter: string;
}

export interface RenewalFailed extends RenewalNotice {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** In a row. */
  readonly failures: number;
}

/** The record of an entry. Times are RFC 3339. */
export interface RenewalStatus {
  readonly last: string | null;
  /** null while a renewal is under way, and where none is possible. */
  readonly next: string | null;
  readonly last_error: string | null;
  readonly failures: number;
  readonly fingerprint_before: string | null;
  readonly fingerprint_after: string | null;
}

export interface RenewerOptions {
  /** The outcomes of renewals, across restarts; created when missing. */
  readonly stateFile: string;
  /** Opens a connection that presents the entry's certificate and is verified in enforce. */
  readonly connect: (entry: RenewalEntry, authority: Authority) => Promise<Socket>;
  /** Loads the new files; resolves when they are used. */
  readonly reload: () => Promise<unknown>;
  readonly onRenewed: (renewed: Renewed) => void;
  readonly onFailed: (failed: RenewalFailed) => void;
  /** For all requests to a CA in one attempt; 30 s where left out. */
  readonly timeoutMs?: number;
}

/** Limits the load on the CA where many entries are due at once. */
const MOST_AT_ONCE = 4;

type State =
  /** Failures are those of manual tries, before it is due. */
  | { readonly is: 'waiting'; readonly at: number; readonly failures: number }
  | { readonly is: 'running'; readonly done: Promise<Renewed | null> }
  | { readonly is: 'retrying'; readonly at: number; readonly failures: number }
  | { readonly is: 'pending'; readonly at: number; readonly failures: number; readonly request: PendingRequest }
  | { readonly is: 'impossible'; readonly why: string };

interface Slot {
  entry: RenewalEntry;
  state: State;
}

/** An entry of the store, with what the renewer looks at. */
export interface Renewable extends Omit<RenewalEntry, 'identity' | 'renew'> {
  readonly enabled: boolean;
  readonly problems: readonly Diagnosis[];
  readonly identity: RenewalEntry['identity'] | null;
  readonly renew: RenewalEntry['renew'] | null;
}

export class Renewer {
  readonly #options: RenewerOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #closing = new AbortController();
  #wanted: ReadonlySet<string> = new Set();
  #history: Map<string, Remembered> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #queue: Promise<void> = Promise.resolve();

  constructor(options: RenewerOptions) {
    this.#options = options;
    // One listener for each attempt and each wait of it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Renews these entries from now on; call it after each swap of the store. */
  async update(entries: readonly Renewable[]): Promise<void> {
    this.#history ??= await readHistory(this.#options.stateFile);
    if (this.#closing.signal.aborted) return;
    const wanted = new Set<string>();
    for (const entry of entries) {
      const { name, host, etag, enabled, identity, renew } = entry;
      if (!enabled || !identity || !renew) continue;
      wanted.add(name);
      const refusal = entry.problems.find(({ code }) => code === 'RENEWAL_IMPOSSIBLE');
      this.#place({ name, host, etag, identity, renew }, refusal?.message ?? null);
    }
    this.#wanted = wanted;
    this.#look();
  }

  /** @param why it can't be renewed; null where it can */
  #place(entry: RenewalEntry, why: string | null): void {
    const slot = this.#slots.get(entry.name);
    const impossible = why === null ? null : ({ is: 'impossible', why } as const);
    if (!slot) {
      this.#slots.set(entry.name, { entry, state: impossible ?? this.#firstState(entry) });
      // Another process that is renewing it completes it; a file that can't be written fails the next attempt.
      if (!impossible) completeInterrupted(entry).catch(() => undefined);
      return;
    }
    const same = slot.entry.identity.id === entry.identity.id && slot.entry.etag === entry.etag;
    slot.entry = entry;
    if (slot.state.is === 'running') return;
    if (impossible) slot.state = impossible;
    else if (!same || slot.state.is === 'impossible') slot.state = waiting(entry);
  }

  /** Where a restart left off: a CA that is down is not asked at each start. */
  #firstState(entry: RenewalEntry): State {
    const known = this.#history?.get(entry.name);
    const now = Date.now();
    const due = waiting(entry);
    if (!known || known.failures === 0 || known.fingerprint !== entry.identity.leaf.fingerprint256) return due;
    const { failures } = known;
    return due.at > now ? { ...due, failures } : { is: 'retrying', at: notBeyond(known.next, now), failures };
  }

  /**
   * Renews now; joins a renewal that is under way.
   * @returns null where the files held a new certificate already
   * @throws RenewalFault
   */
  async renew(name: string): Promise<Renewed | null> {
    const slot = this.#need(name);
    return slot.state.is === 'running' ? slot.state.done : this.#start(slot);
  }

  /** @throws RenewalFault where a renewal would fail, as far as that shows without a new certificate */
  async rehearse(name: string): Promise<void> {
    const { entry } = this.#need(name);
    try {
      await rehearseRenewal({ entry, connect: this.#connectFor(entry), ...this.#limits() });
    } catch (error) {
      throw asRenewalFault(error);
    }
  }

  /** null where the entry has no `renew:`, is disabled, or can't be loaded. */
  statusOf(name: string): RenewalStatus | null {
    const slot = this.#slots.get(name);
    if (!slot) return null;
    const known = this.#history?.get(name);
    const { state } = slot;
    return {
      last: known?.last ?? null,
      next: 'at' in state ? new Date(state.at).toISOString() : null,
      last_error: state.is === 'impossible' ? state.why : (known?.error ?? null),
      failures: known?.failures ?? 0,
      fingerprint_before: known?.before ?? null,
      fingerprint_after: known?.after ?? null,
    };
  }

  /** Ends running attempts; files that are being written are finished. */
  async close(): Promise<void> {
    this.#closing.abort(new RenewalFault('CANCELLED', 'the daemon is stopping'));
    if (this.#timer) clearTimeout(this.#timer);
    await Promise.allSettled(this.#running());
    await this.#queue;
  }

  #running(): Promise<unknown>[] {
    return [...this.#slots.values()].flatMap(({ state }) => (state.is === 'running' ? [state.done] : []));
  }

  #need(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot) return slot;
    throw new RenewalFault('ENTRY_UNUSABLE', `${name} can't be renewed: it is disabled, or its files can't be loaded`);
  }

  #look(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#closing.signal.aborted || this.#slots.size === 0) return;
    const now = Date.now();
    // A running attempt ends first, and is dropped then.
    for (const [name, { state }] of this.#slots)
      if (!this.#wanted.has(name) && state.is !== 'running') this.#slots.delete(name);
    const resting = [...this.#slots.values()].flatMap((slot) => {
      slot.state = withinReach(slot.state, now);
      return 'at' in slot.state ? [{ slot, at: slot.state.at }] : [];
    });
    let free = MOST_AT_ONCE - this.#running().length;
    for (const { slot, at } of resting.sort((a, b) => a.at - b.at)) {
      if (at > now || free <= 0) break;
      free--;
      // onFailed reports it.
      this.#start(slot).catch(() => undefined);
    }
    const times = [...this.#slots.values()].flatMap(({ state }) => ('at' in state ? [state.at] : []));
    this.#timer = setTimeout(() => this.#look(), Math.max(nextLookMs(now, free > 0 ? times : []), 1)).unref();
  }

  #start(slot: Slot): Promise<Renewed | null> {
    const { entry, state } = slot;
    const failures = 'failures' in state ? state.failures : 0;
    const pending = state.is === 'pending' ? state.request : null;
    const connect = this.#connectFor(entry);
    const attempt = attemptRenewal({ entry, connect, pending, ...this.#limits() });
    const done = attempt.then(
      (outcome) => this.#finished(slot, entry, failures, outcome),
      (error: unknown) => this.#failed(slot, entry, failures, asRenewalFault(error), null),
    );
    slot.state = { is: 'running', done };
    return done;
  }

  async #finished(slot: Slot, entry: RenewalEntry, failures: number, outcome: Outcome): Promise<Renewed | null> {
    if (outcome.is === 'pending') {
      const { retryAfterMs, pending } = outcome;
      const fault = new RenewalFault('CA_PENDING', `the CA has not decided on the request yet`, { retryAfterMs });
      return this.#failed(slot, entry, failures, fault, pending);
    }
    const { after } = outcome;
    // The new identity counts from now on, also where the reload finds another change.
    slot.entry = { ...entry, identity: after };
    const next = dueAfterRenewal(validityOf(slot.entry), entry.renew.after, Date.now());
    slot.state = { is: 'waiting', at: next, failures: 0 };
    if (outcome.is === 'renewed')
      await this.#remember(entry.name, {
        fingerprint: after.leaf.fingerprint256,
        last: new Date().toISOString(),
        next,
        failures: 0,
        error: null,
        before: entry.identity.leaf.fingerprint256,
        after: after.leaf.fingerprint256,
      });
    await this.#options.reload();
    this.#look();
    if (outcome.is === 'elsewhere') return null;
    const renewed: Renewed = {
      ...noticeOf(entry),
      fingerprintAfter: after.leaf.fingerprint256,
      notAfter: after.leaf.validToDate,
      next: new Date(next),
    };
    this.#options.onRenewed(renewed);
    return renewed;
  }

  async #failed(
    slot: Slot,
    entry: RenewalEntry,
    before: number,
    fault: RenewalFault,
    request: PendingRequest | null,
  ): Promise<never> {
    const now = Date.now();
    const { validToDate: notAfter, fingerprint256: fingerprint } = entry.identity.leaf;
    if (this.#closing.signal.aborted) {
      slot.state = waiting(entry);
      throw fault;
    }
    const failures = before + 1;
    const { retryAfterMs } = fault;
    const retry = retryAt({ now, failures, notAfter: notAfter.getTime(), retryAfterMs, random: Math.random() });
    // Another program replaced the certificate in between: the failure concerns the old one.
    const stale = slot.entry.identity.id !== entry.identity.id;
    const state = stale ? waiting(slot.entry) : stateAfterFailure(entry, retry, failures, request);
    slot.state = state;
    const { at } = state;
    const expired = notAfter.getTime() <= now;
    const message = expired
      ? `${fault.message}; the certificate expired ${notAfter.toISOString().replace('.000Z', 'Z')}`
      : fault.message;
    const hint = expired
      ? `many CAs do not renew an expired certificate: get a new one, then: mtlsd cert set ${entry.name} ${entry.renew.target.kind === 'pfx' ? '--pfx FILE' : '--cert FILE --key FILE'}`
      : fault.hint;
    const known = this.#history?.get(entry.name);
    await this.#remember(entry.name, {
      fingerprint,
      last: known?.last ?? null,
      next: at,
      failures,
      error: message,
      before: known?.before ?? null,
      after: known?.after ?? null,
    });
    this.#look();
    this.#options.onFailed({
      ...noticeOf(entry),
      code: fault.code,
      message,
      hint,
      failures,
      notAfter,
      next: new Date(at),
    });
    throw new RenewalFault(fault.code, message, { hint, cause: fault });
  }

  #connectFor(entry: RenewalEntry) {
    return (authority: Authority) => this.#options.connect(entry, authority);
  }

  #limits() {
    return { signal: this.#closing.signal, timeoutMs: this.#options.timeoutMs };
  }

  /** One write after another. A full disk loses only this history, and no certificate. */
  #remember(name: string, entry: Remembered): Promise<void> {
    const history = (this.#history ??= new Map());
    history.set(name, entry);
    forget(history, new Set(this.#slots.keys()));
    this.#queue = this.#queue.then(() => writeHistory(this.#options.stateFile, history));
    return this.#queue;
  }
}

function validityOf({ identity: { leaf } }: RenewalEntry) {
  const { fingerprint256, validFromDate, validToDate } = leaf;
  return { fingerprint256, notBefore: validFromDate.getTime(), notAfter: validToDate.getTime() };
}

type Resting = Exclude<State, { is: 'running' | 'impossible' }>;

function stateAfterFailure(entry: RenewalEntry, at: number, failures: number, request: PendingRequest | null): Resting {
  if (request) return { is: 'pending', at, failures, request };
  // A manual try before the renewal was due: it is not repeated automatically.
  const due = waiting(entry);
  return due.at > at ? { ...due, failures } : { is: 'retrying', at, failures };
}

function waiting(entry: RenewalEntry): Extract<State, { is: 'waiting' }> {
  return { is: 'waiting', at: dueAt(validityOf(entry), entry.renew.after), failures: 0 };
}

/** What a CA or a backoff asked for may lie too far ahead once the clock was set back; what a certificate says does not. */
function withinReach(state: State, now: number): State {
  return state.is === 'retrying' || state.is === 'pending' ? { ...state, at: notBeyond(state.at, now) } : state;
}

function noticeOf({ name, identity, renew }: RenewalEntry): Omit<RenewalNotice, 'notAfter' | 'next'> {
  const { subject, fingerprint256 } = certificateFacts(identity.leaf);
  return { name, subject, via: renew.via.kind, fingerprintBefore: fingerprint256 };
}
