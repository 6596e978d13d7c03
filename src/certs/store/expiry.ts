/**
 * Tells ahead when a certificate that we present expires: at 30, 14, 7 and 1 days and at its end, once each, also across
 * restarts. After a pause only the nearest of the thresholds passed meanwhile is told.
 */
import { readFile } from 'node:fs/promises';
import { certificateFacts } from '../../core/facts.ts';
import { writeDurably } from './durable-write.ts';
import type { StoreEntry, StoreSnapshot } from './snapshot.ts';

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
  /** What was told already; made where it is missing, of no other use. */
  readonly stateFile: string;
  readonly onNotice: (notice: ExpiryNotice) => void;
  /** For a look that failed; the next one comes all the same. */
  readonly onFault?: (error: unknown) => void;
}

const dayMs = 24 * 60 * 60 * 1000;
/** Long enough to renew by hand, then more and more urgent. */
const thresholds = [30, 14, 7, 1, 0] as const;
/** A clock that is set, or a machine that slept, shows within this time. It is also far below setTimeout's 2^31 ms. */
const longestWaitMs = 60 * 60 * 1000;
/** An entry that was taken out and comes back within this time after its end is not told of again. */
const forgetAfterMs = 90 * dayMs;

/** Whole days until then, rounded down: 0 on the last day, negative after the end. */
export function daysLeft(notAfter: Date, now = new Date()): number {
  return Math.floor((notAfter.getTime() - now.getTime()) / dayMs);
}

/** Fingerprint and entry -> what was told of it. */
type Told = Record<string, { threshold: number; until: number }>;

export class ExpiryWatch {
  readonly #options: ExpiryOptions;
  #entries: readonly StoreEntry[] = [];
  #told: Told | null = null;
  #timer: NodeJS.Timeout | null = null;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  /** Looks at this store from now on; call it after each swap. Resolves when what is due was told. */
  update(snapshot: Pick<StoreSnapshot, 'entries'>): Promise<void> {
    this.#entries = snapshot.entries.filter((entry) => entry.enabled && entry.identity);
    return this.#look();
  }

  /** Resolves when what was due until now has been told. */
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
    this.#told ??= await readTold(this.#options.stateFile);
    const now = Date.now();
    const due = this.#entries.flatMap((entry) => noticeFor(entry, this.#told ?? {}, now) ?? []);
    if (due.length > 0) {
      for (const { name, fingerprint256, threshold, notAfter } of due) {
        this.#told[keyOf(name, fingerprint256)] = { threshold, until: notAfter.getTime() + forgetAfterMs };
      }
      // Written first: told twice after a crash would be worse than a full disk's telling it once more.
      await this.#remember(now);
      for (const notice of due) this.#options.onNotice(notice);
    }
    this.#arm(now);
  }

  async #remember(now: number): Promise<void> {
    this.#told = Object.fromEntries(Object.entries(this.#told ?? {}).filter(([, { until }]) => until > now));
    try {
      await writeDurably(this.#options.stateFile, `${JSON.stringify(this.#told, null, 2)}\n`, { mode: 0o600 });
    } catch {
      // It is told, and once more after a restart.
    }
  }

  #arm(now: number): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#closed || this.#entries.length === 0) return;
    let next = now + longestWaitMs;
    for (const { identity } of this.#entries) {
      const end = identity?.leaf.validToDate.getTime() ?? Number.POSITIVE_INFINITY;
      for (const days of thresholds) {
        const at = end - days * dayMs;
        if (at > now && at < next) next = at;
      }
    }
    // One millisecond after, so that "less than" holds.
    this.#timer = setTimeout(() => void this.#look(), next - now + 1).unref();
  }
}

function noticeFor({ name, identity }: StoreEntry, told: Told, now: number): ExpiryNotice | null {
  if (!identity) return null;
  const notAfter = identity.leaf.validToDate;
  const passed = thresholds.filter((days) => now > notAfter.getTime() - days * dayMs);
  const threshold = passed.at(-1);
  if (threshold === undefined) return null;
  const { subject, fingerprint256 } = certificateFacts(identity.leaf);
  const before = told[keyOf(name, fingerprint256)]?.threshold;
  if (before !== undefined && before <= threshold) return null;
  const event = threshold === 0 ? 'certificate.expired' : 'certificate.expiring';
  return { event, name, subject, fingerprint256, daysLeft: daysLeft(notAfter, new Date(now)), notAfter, threshold };
}

function keyOf(name: string, fingerprint256: string): string {
  return `${name} ${fingerprint256}`;
}

/** Empty where there is none yet, or where it is of no use: then everything due is told once more. */
async function readTold(file: string): Promise<Told> {
  try {
    const told: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof told === 'object' && told !== null ? (told as Told) : {};
  } catch {
    return {};
  }
}
