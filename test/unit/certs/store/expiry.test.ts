import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ClientIdentity } from '../../../../src/certs/identity/identity.ts';
import { daysLeft, type ExpiryNotice, type ExpiryOptions, ExpiryWatch } from '../../../../src/certs/store/expiry.ts';
import type { StoreEntry } from '../../../../src/certs/store/snapshot.ts';
import { createPki, DAY } from '../../../support/pki.ts';
import { folderFor } from './support.ts';

const start = Date.UTC(2026, 0, 1);

// The files' own time stays real: only what the watch asks for is set.
beforeEach(() => vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: start }));
afterEach(() => vi.useRealTimers());

/** Long-lived by default. */
async function entryFor(name: string, days: number, lifeDays = days + 365, renews = false): Promise<StoreEntry> {
  const root = await (await createPki()).root();
  const { x509: leaf } = await root.issue({
    cn: name,
    notBefore: new Date(start + (days - lifeDays) * DAY),
    notAfter: new Date(start + days * DAY),
  });
  const identity = { leaf } as ClientIdentity;
  return { name, enabled: true, identity, renew: renews ? {} : null } as StoreEntry;
}

/** Told as `name threshold days`. */
function watchIn(
  stateFile: string,
  options: Partial<ExpiryOptions> = {},
): { watch: ExpiryWatch; told: string[]; notices: ExpiryNotice[] } {
  const told: string[] = [];
  const notices: ExpiryNotice[] = [];
  const onNotice = (notice: ExpiryNotice) => {
    notices.push(notice);
    told.push(`${notice.name} ${notice.threshold} ${notice.daysLeft}`);
  };
  return { watch: new ExpiryWatch({ stateFile, onNotice, ...options }), told, notices };
}

/** Lets days pass, hour by hour; what is due in an hour is announced before the next. */
async function pass(days: number, watch: ExpiryWatch): Promise<void> {
  for (let hour = 0; hour < days * 24; hour++) {
    vi.advanceTimersByTime(DAY / 24);
    await watch.settled();
  }
}

describe('an expiring certificate', () => {
  test('is announced at each threshold and at its end, once each', async () => {
    const entries = [await entryFor('a', 40)];
    const { watch, told, notices } = watchIn(path.join(folderFor(), 'expiry.json'));
    await watch.update(entries);
    expect(told).toEqual([]);
    await pass(45, watch);
    watch.close();
    expect(told).toEqual(['a 30 29', 'a 14 13', 'a 7 6', 'a 1 0', 'a 0 -1']);
    expect(notices.map(({ event }) => event)).toEqual([
      ...Array<string>(4).fill('certificate.expiring'),
      'certificate.expired',
    ]);
    expect(notices[0]).toMatchObject({ subject: 'CN=a', notAfter: new Date(start + 40 * DAY) });
  });

  test('with a short lifetime is announced in its last third: of 24 hours once, of 45 days from 15 days on', async () => {
    const short = watchIn(path.join(folderFor(), 'expiry.json'));
    await short.watch.update([await entryFor('a', 1, 1)]);
    await pass(15 / 24, short.watch);
    expect(short.told).toEqual([]);
    await pass(2, short.watch);
    short.watch.close();
    expect(short.told).toEqual(['a 1 0', 'a 0 -1']);
    const month = watchIn(path.join(folderFor(), 'expiry.json'));
    await month.watch.update([await entryFor('b', 42, 45)]);
    await pass(45, month.watch);
    month.watch.close();
    expect(month.told).toEqual(['b 30 14', 'b 14 13', 'b 7 6', 'b 1 0', 'b 0 -1']);
  });

  test('that renews itself warns in the last sixth of its lifetime', async () => {
    const { watch, told } = watchIn(path.join(folderFor(), 'expiry.json'));
    await watch.update([await entryFor('a', 1, 1, true)]);
    await pass(19 / 24, watch);
    expect(told).toEqual([]);
    await pass(3 / 24, watch);
    watch.close();
    expect(told).toEqual(['a 1 0']);
  });

  test('is not announced again after a restart', async () => {
    const stateFile = path.join(folderFor(), 'expiry.json');
    const entries = [await entryFor('a', 10)];
    const first = watchIn(stateFile);
    await first.watch.update(entries);
    first.watch.close();
    const second = watchIn(stateFile);
    await second.watch.update(entries);
    expect([first.told, second.told]).toEqual([['a 14 10'], []]);
    await pass(4, second.watch);
    second.watch.close();
    expect(second.told).toEqual(['a 7 6']);
  });

  test('found late is announced once, by the nearest threshold', async () => {
    const { watch, told } = watchIn(path.join(folderFor(), 'expiry.json'));
    await watch.update([await entryFor('a', 0.5), await entryFor('b', -3)]);
    watch.close();
    expect(told).toEqual(['a 1 0', 'b 0 -3']);
  });

  test('is announced again when the first time was because the clock was ahead', async () => {
    const { watch, told } = watchIn(path.join(folderFor(), 'expiry.json'));
    await watch.update([await entryFor('a', 20)]);
    vi.setSystemTime(start + 400 * DAY);
    await pass(1 / 24, watch);
    vi.setSystemTime(start);
    await pass(21, watch);
    watch.close();
    expect(told).toEqual(['a 30 20', 'a 0 -381', 'a 30 19', 'a 14 13', 'a 7 6', 'a 1 0', 'a 0 -1']);
  });

  test('that was renewed is another certificate', async () => {
    const { watch, told } = watchIn(path.join(folderFor(), 'expiry.json'));
    await watch.update([await entryFor('a', 5)]);
    await watch.update([await entryFor('a', 400)]);
    await watch.update([await entryFor('a', 6)]);
    watch.close();
    expect(told).toEqual(['a 7 5', 'a 7 6']);
  });

  test('of a disabled entry, or of one that can not be loaded, is not announced', async () => {
    const { watch, told } = watchIn(path.join(folderFor(), 'expiry.json'));
    const entry = await entryFor('a', 5);
    await watch.update([
      { ...entry, enabled: false },
      { ...entry, identity: null },
    ]);
    watch.close();
    expect(told).toEqual([]);
  });

  test('is announced although the state file is damaged or can not be written', async () => {
    const folder = folderFor();
    const stateFile = path.join(folder, 'expiry.json');
    writeFileSync(stateFile, '{ half');
    const damaged = watchIn(stateFile);
    await damaged.watch.update([await entryFor('a', 5)]);
    damaged.watch.close();
    const nowhere = watchIn(path.join(folder, 'missing', 'expiry.json'));
    await nowhere.watch.update([await entryFor('a', 5)]);
    nowhere.watch.close();
    expect([damaged.told, nowhere.told]).toEqual([['a 7 5'], ['a 7 5']]);
    expect(Object.values(JSON.parse(readFileSync(stateFile, 'utf8')) as object)).toMatchObject([{ threshold: 7 }]);
  });
});

test('days are counted down to the last one, 0, and below it after the end', () => {
  const now = new Date(start);
  expect([10, 1, 0.5, 0, -0.5, -2].map((days) => daysLeft(new Date(start + days * DAY), now))).toEqual([
    10, 1, 0, 0, -1, -2,
  ]);
});
