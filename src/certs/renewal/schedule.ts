/** When to renew, and when to try again. Pure: all times are ms since 1970. */
import { createHash } from 'node:crypto';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The last that a Date can be. */
const LAST_DATE = 8.64e15;
/** Part of the lifetime by which the moment is moved, so that a fleet issued at once does not come back at once. */
const SPREAD = 0.05;
/** Of what remains of a certificate that is due when it comes. */
const LEAST_SHARE = 1 / 3;
/** A CA that says "in a year" has a wrong clock or a fault; a certificate is worth one question a day. */
export const LONGEST_RETRY_AFTER_MS = 24 * HOUR_MS;
const FIRST_RETRY_MS = MINUTE_MS;
const LONGEST_RETRY_MS = HOUR_MS;
const SHORTEST_RETRY_MS = SECOND_MS;
/** Timers stop while a machine sleeps, and a clock may be set: wall-clock times are compared this often. */
const LONGEST_LOOK_MS = 30 * SECOND_MS;

export interface Validity {
  readonly fingerprint256: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * The moment of the first try: the same at each asking and after a restart, since it is drawn from the fingerprint.
 * @param after share of the lifetime, between 0 and 1
 */
export function dueAt({ fingerprint256, notBefore, notAfter }: Validity, after: number): number {
  const share = after + SPREAD * drawn(fingerprint256);
  const due = Math.round(notBefore + (notAfter - notBefore) * Math.min(Math.max(share, 0), 1));
  // A certificate with unreadable dates is not renewed automatically.
  return Number.isFinite(due) ? due : LAST_DATE;
}

/**
 * The first try for a certificate that has just come. Some CAs begin the lifetime in the past (step-ca one minute), so that a
 * short one is due when it arrives: it is used for a part of what remains, or each renewal would ask for the next at once.
 */
export function dueAfterRenewal(validity: Validity, after: number, now: number): number {
  const due = dueAt(validity, after);
  const remaining = Math.max(validity.notAfter - now, SHORTEST_RETRY_MS);
  return Math.max(due, Math.round(now + remaining * LEAST_SHARE));
}

/** From -1 to 1, evenly. */
function drawn(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 0x7fff_ffff - 1;
}

export interface FailedTry {
  readonly now: number;
  /** In a row, this one included. */
  readonly failures: number;
  readonly notAfter: number;
  /** What the CA asked for. */
  readonly retryAfterMs: number | null;
  /** From 0 to 1. */
  readonly random: number;
}

/**
 * After one minute or a tenth of what remains, whichever is less, doubling to one hour. While the certificate is valid never
 * after half of what remains, so that a short outage near the end is survived. Up to 10 % later, and never before
 * Retry-After.
 */
export function retryAt({ now, failures, notAfter, retryAfterMs, random }: FailedTry): number {
  const left = notAfter - now;
  const first = left > 0 ? Math.min(FIRST_RETRY_MS, left / 10) : FIRST_RETRY_MS;
  // 2^20 minutes are more than the hour; a larger exponent only overflows.
  const doubled = Math.min(first * 2 ** Math.min(failures - 1, 20), LONGEST_RETRY_MS);
  const wait = Math.max(left > 0 ? Math.min(doubled, left / 2) : doubled, SHORTEST_RETRY_MS);
  const asked = Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return Math.round(now + Math.max(wait, asked) * (1 + random / 10));
}

/** A planned time, after the clock was set back: no plan is further ahead than the longest wait. */
export function notBeyond(planned: number, now: number): number {
  return Math.min(planned, now + LONGEST_RETRY_AFTER_MS * 1.1);
}

/** How long to sleep until the next comparison with the clock. */
export function nextLookMs(now: number, times: readonly number[]): number {
  const next = Math.min(...times, now + LONGEST_LOOK_MS);
  return Math.max(next - now, 0);
}

/** RFC 9110 §10.2.3: seconds or a date. null where it is neither, or past; at most one day. */
export function parseRetryAfter(field: string | null, now: number): number | null {
  if (field === null) return null;
  const text = field.trim();
  const ms = /^\d{1,12}$/.test(text)
    ? Number(text) * SECOND_MS
    : /^[A-Za-z]{3,9}, /.test(text)
      ? Date.parse(text) - now
      : NaN;
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : null;
}
