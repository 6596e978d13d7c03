import { describe, expect, test } from 'vitest';
import {
  dueAfterRenewal,
  dueAt,
  LONGEST_RETRY_AFTER_MS,
  nextLookMs,
  notBeyond,
  parseRetryAfter,
  retryAt,
} from '../../../../src/certs/renewal/schedule.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 7, 1);

describe('the first try', () => {
  const validity = (fingerprint256: string) => ({ fingerprint256, notBefore: now, notAfter: now + 90 * day });
  const shares = Array.from({ length: 2000 }, (_, i) => (dueAt(validity(`F${i}`), 2 / 3) - now) / (90 * day));

  test('comes after the share of the lifetime, 5 % earlier or later, evenly', () => {
    const offsets = shares.map((share) => share - 2 / 3);
    expect(Math.max(...offsets)).toBeLessThanOrEqual(0.05 + 1e-9);
    expect(Math.min(...offsets)).toBeGreaterThanOrEqual(-0.05 - 1e-9);
    const tenths = Array.from(
      { length: 10 },
      (_, i) => offsets.filter((o) => Math.floor((o + 0.05) * 100) === i).length,
    );
    for (const count of tenths) expect(count).toBeGreaterThan(120);
  });

  test('is the same at each asking', () => {
    expect(dueAt(validity('F1'), 0.5)).toBe(dueAt(validity('F1'), 0.5));
  });

  test('of a certificate whose dates can not be read never comes', () => {
    const due = dueAt({ fingerprint256: 'F', notBefore: Number.NaN, notAfter: Number.NaN }, 0.5);
    expect(due).toBeGreaterThan(now + 1000 * 365 * day);
    expect(new Date(due).toISOString()).toMatch(/^\+/);
  });

  test('is never outside the lifetime', () => {
    for (const after of [0.01, 0.99])
      for (let i = 0; i < 100; i++) {
        const at = dueAt(validity(`G${i}`), after);
        expect(at).toBeGreaterThanOrEqual(now);
        expect(at).toBeLessThanOrEqual(now + 90 * day);
      }
  });
});

test('a certificate that is due when it comes is used for a third of what remains', () => {
  const born = { fingerprint256: 'F', notBefore: now - minute, notAfter: now + 30_000 };
  expect(dueAt(born, 2 / 3)).toBeLessThanOrEqual(now + 5000);
  expect(dueAfterRenewal(born, 2 / 3, now)).toBe(now + 10_000);
  const expired = { fingerprint256: 'F', notBefore: now - minute, notAfter: now - 1 };
  expect(dueAfterRenewal(expired, 2 / 3, now)).toBeGreaterThan(now);
  const usual = { fingerprint256: 'F', notBefore: now, notAfter: now + 90 * day };
  expect(dueAfterRenewal(usual, 2 / 3, now)).toBe(dueAt(usual, 2 / 3));
});

describe('the next try', () => {
  const wait = (failures: number, leftMs: number, retryAfterMs: number | null = null, random = 0): number =>
    retryAt({ now, failures, notAfter: now + leftMs, retryAfterMs, random }) - now;

  test('starts at a minute and doubles to an hour', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 100].map((failures) => wait(failures, 30 * day) / minute)).toEqual([
      1, 2, 4, 8, 16, 32, 60, 60, 60,
    ]);
  });

  test('starts at a tenth of what remains, where that is less', () => {
    expect(wait(1, 20_000)).toBe(2000);
    expect(wait(2, 20_000)).toBe(4000);
  });

  test('never waits for more than half of what remains, and never less than a second', () => {
    expect(wait(9, hour)).toBe(hour / 2);
    expect(wait(9, 500)).toBe(1000);
  });

  test('continues after the end as before', () => {
    expect([1, 2, 9].map((failures) => wait(failures, -day) / minute)).toEqual([1, 2, 60]);
  });

  test('is never before Retry-After, and at most 10 % later', () => {
    expect(wait(1, 30 * day, 2 * hour)).toBe(2 * hour);
    expect(wait(1, 30 * day, 2 * hour, 1)).toBe(132 * minute);
    expect(wait(1, 30 * day, 1000)).toBe(minute);
  });

  test('is within a day, for any time that a CA asks for', () => {
    expect(wait(1, 30 * day, 365 * day)).toBe(day);
  });
});

describe('Retry-After', () => {
  test.each([
    ['120', 120_000],
    [' 3 ', 3000],
    [new Date(now + hour).toUTCString(), hour],
    [new Date(now - hour).toUTCString(), null],
    ['0', null],
    ['-5', null],
    ['1e9', null],
    ['soon', null],
    ['', null],
    ['Sat, 99 Foo 2026', null],
    ['999999999999', LONGEST_RETRY_AFTER_MS],
    ['9'.repeat(400), null],
    [new Date(now + 400 * day).toUTCString(), LONGEST_RETRY_AFTER_MS],
    [null, null],
  ])('%j', (field, ms) => {
    expect(parseRetryAfter(field, now)).toBe(ms);
  });
});

describe('the clock', () => {
  test('is compared every 30 seconds, and at the time of a try', () => {
    expect(nextLookMs(now, [])).toBe(30_000);
    expect(nextLookMs(now, [now + hour, now + 500])).toBe(500);
    expect(nextLookMs(now, [now - hour])).toBe(0);
  });

  test('set back, leaves no try further away than a day', () => {
    expect(notBeyond(now + 365 * day, now)).toBeLessThan(now + 1.2 * day);
    expect(notBeyond(now + minute, now)).toBe(now + minute);
  });
});
