/**
 * Warns ahead when a certificate that we present expires: 30, 14, 7 and 1 days before its end and at its end, once each, also
 * across restarts. No warning comes before the last third of its lifetime, so that a certificate of 24 hours warns once; with
 * `renew`, before the last sixth, since a renewal is tried earlier and warns when it fails.
 * After a pause it warns once, for the nearest of the thresholds that passed.
 */
import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { certificateFacts } from '../../core/facts.ts';
import { writeAtomically } from '../../core/files/atomic-write.ts';

/** An entry of the store, or the local CA. */
export interface Expiring {
  readonly name: string;
  readonly enabled: boolean;
  readonly identity: { readonly leaf: X509Certificate } | null;
  /** null for what does not renew itself. */
  readonly renew: object | null;
}

export interface ExpiryNotice {
  readonly event: 'certificate.expiring' | 'certificate.expired';
  readonly name: string;
  readonly subject: string;
  readonly fingerprint256: string;
  /** Whole days that are left, rounded down; negative after the end. */
  readonly daysLeft: number;
  readonly notAfter: Date;
  /** 30, 14, 7, 1, or 0 for expired. */
  readonly threshold: number;
}

export interface ExpiryOptions {
  /** Remembers which warnings were given; created when missing. */
  readonly stateFile: string;
  readonly onNotice: (notice: ExpiryNotice) => void;
  /** For a check that failed; the next one still runs. */
  readonly onFault?: (error: unknown) => void;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Long enough to renew manually, then more and more urgent. */
const THRESHOLDS = [30, 14, 7, 1, 0] as const;
/** A clock that was set, or a machine that slept, is noticed within this time. It is also far below setTimeout's 2^31 ms. */
const LONGEST_WAIT_MS = 60 * 1000;
/** An entry that was removed and comes back within this time after its end does not warn again. */
const FORGET_AFTER_MS = 90 * DAY_MS;

/** Whole days until then, rounded down: 0 on the last day, negative after the end. */
export function daysLeft(notAfter: Date, now = new Date()): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / DAY_MS);
}

/** Whether the first of the warnings is due, as the watch gives them. */
export function expiresSoon(from: Date, to: Date, renews: boolean, now = Date.now()): boolean {
  return deadlinesOf(from, to, renews).some(({ atMs }) => now > atMs);
}

/** Entry and fingerprint -> the last warning. */
type Notified = Record<string, { threshold: number; until: number }>;

export class ExpiryWatch {
  readonly #options: ExpiryOptions;
  #entries: readonly Expiring[] = [];
  #warned: Notified | null = null;
  #timer: NodeJS.Timeout | null = null;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** Looks at these from now on; call it after each change. Resolves when all due warnings are given. */
  update(entries: readonly Expiring[]): Promise<void> {
    this.#entries = entries.filter((entry) => entry.enabled && entry.identity);
    return this.#look();
  }

  /** Resolves when all warnings that are due now are given. */
  settled(): Promise<void> {
    return this.#queue;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  #look(): Promise<void> {
    this.#queue = this.#queue
      .then(() => this.#lookNow())
      .catch((error: unknown) => {
        this.#options.onFault?.(error);
        this.#arm(Date.now());
      });
    return this.#queue;
  }

  async #lookNow(): Promise<void> {
    if (this.#closed) return;
    this.#warned ??= await readWarnings(this.#options.stateFile);
    const now = Date.now();
    const warned = this.#warned;
    const due = this.#entries.flatMap((entry) => noticeFor(entry, deadlinesOfEntry(entry), warned, now) ?? []);
    if (due.length > 0) {
      for (const { name, fingerprint256, threshold, notAfter } of due) {
        warned[keyOf(name, fingerprint256)] = { threshold, until: notAfter.getTime() + FORGET_AFTER_MS };
      }
      // Written first, so that a crash does not repeat a warning.
      await this.#remember(now);
      for (const notice of due) this.#options.onNotice(notice);
    }
    this.#arm(now);
  }

  async #remember(now: number): Promise<void> {
    this.#warned = Object.fromEntries(Object.entries(this.#warned ?? {}).filter(([, { until }]) => until > now));
    try {
      await writeAtomically(this.#options.stateFile, `${JSON.stringify(this.#warned, null, 2)}\n`, { mode: 0o600 });
    } catch {
      // The warning is given, and again after a restart.
    }
  }

  #arm(now: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closed || this.#entries.length === 0) return;
    let next = now + LONGEST_WAIT_MS;
    for (const entry of this.#entries)
      for (const { atMs } of deadlinesOfEntry(entry)) if (atMs > now && atMs < next) next = atMs;
    // One millisecond after, so that "less than" holds.
    this.#timer = setTimeout(() => void this.#look(), next - now + 1).unref();
  }
}

interface Deadline {
  readonly threshold: number;
  readonly atMs: number;
}

function deadlinesOf(from: Date, to: Date, renews: boolean): Deadline[] {
  const end = to.getTime();
  const longestMs = (end - from.getTime()) / (renews ? 6 : 3);
  return THRESHOLDS.map((threshold) => ({ threshold, atMs: end - Math.min(threshold * DAY_MS, longestMs) }));
}

function deadlinesOfEntry({ identity, renew }: Expiring): Deadline[] {
  return identity ? deadlinesOf(identity.leaf.validFromDate, identity.leaf.validToDate, renew !== null) : [];
}

function noticeFor(
  { name, identity }: Expiring,
  deadlines: readonly Deadline[],
  warned: Notified,
  now: number,
): ExpiryNotice | null {
  const threshold = deadlines.findLast(({ atMs }) => now > atMs)?.threshold;
  if (threshold === undefined || !identity) return null;
  const notAfter = identity.leaf.validToDate;
  const { subject, fingerprint256 } = certificateFacts(identity.leaf);
  const before = warned[keyOf(name, fingerprint256)]?.threshold;
  // The nearer one was given while the clock was ahead.
  if (before === threshold) return null;
  const event = threshold === 0 ? 'certificate.expired' : 'certificate.expiring';
  return { event, name, subject, fingerprint256, daysLeft: daysLeft(notAfter, new Date(now)), notAfter, threshold };
}

function keyOf(name: string, fingerprint256: string): string {
  return `${name} ${fingerprint256}`;
}

/** Empty where the file is missing or damaged: then all due warnings are given again. */
async function readWarnings(file: string): Promise<Notified> {
  try {
    const warned: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof warned === 'object' && warned !== null ? (warned as Notified) : {};
  } catch {
    return {};
  }
}
