/** When the renewer tries, what it remembers, and that two of them do not both renew. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type RenewalFault } from '../../../../src/certs/renewal/fault.ts';
import { dueAt } from '../../../../src/certs/renewal/schedule.ts';
import type { RenewalTarget } from '../../../../src/certs/renewal/target.ts';
import { type EstServer, estServer } from '../../../support/est-server.ts';
import { ago, ahead, type Authority, createPki, DAY, HOUR, type Issued } from '../../../support/pki.ts';
import { benchOf, entryOf, folderFor, writePair } from './support.ts';

let root: Authority;
let est: EstServer;

beforeAll(async () => {
  root = await (await createPki()).root();
});
beforeEach(async () => {
  est = await estServer({ root, lifetimeMs: 30 * DAY });
  return () => est.close();
});

const fresh = (options = {}): Promise<Issued> =>
  root.issue({ cn: 'me', freshKey: true, notBefore: ago(0), notAfter: ahead(2 * DAY), ...options });
/** Two thirds of its lifetime are over. */
const due = (): Promise<Issued> => fresh({ notBefore: ago(9 * DAY), notAfter: ahead(DAY) });

async function entryFor(issued: Issued, options = {}) {
  const folder = folderFor();
  const target: RenewalTarget = { kind: 'pem', ...writePair(folder, issued), passphrase: null };
  return { folder, entry: await entryOf({ via: { kind: 'est', url: est.url }, target, root, folder, ...options }) };
}

const failing = (status = 503, fields: Record<string, string> = {}): void => {
  est.misbehave = (response) => void response.writeHead(status, fields).end();
};

describe('it is time', () => {
  test('at once, where the share of the lifetime is over', async () => {
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    const renewal = bench.nextRenewal();
    await bench.renewer.update([entry]);
    const { next, notAfter } = await renewal;
    const { x509 } = est.issued[0] as Issued;
    expect(notAfter).toEqual(x509.validToDate);
    const validity = {
      fingerprint256: x509.fingerprint256,
      notBefore: x509.validFromDate.getTime(),
      notAfter: notAfter.getTime(),
    };
    expect(next.getTime()).toBe(dueAt(validity, 2 / 3));
    expect(bench.renewer.statusOf('me')?.next).toBe(next.toISOString());
  });

  test('at the moment itself, where it is to come', async () => {
    // Of 6 seconds half, give or take three tenths of one; certificates begin at a whole second.
    const { folder, entry } = await entryFor(await fresh({ notAfter: ahead(6000) }), { after: 0.5 });
    const bench = benchOf(folder);
    const renewal = bench.nextRenewal();
    await bench.renewer.update([entry]);
    expect(est.requests).toEqual([]);
    const at = Date.parse(bench.renewer.statusOf('me')?.next ?? '');
    await renewal;
    expect(est.times[0]).toBeGreaterThanOrEqual(at);
    // Not at the next look of every 30 seconds.
    expect((est.times[0] ?? 0) - at).toBeLessThan(5000);
  });

  test('when the clock says so: after a suspend, in which timers stop', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { folder, entry } = await entryFor(await fresh(), { via: { kind: 'command', command: ['false'] } });
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    const failure = bench.nextFailure();
    vi.setSystemTime(Date.now() + 40 * HOUR);
    // Until the next look at the clock.
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failure).toMatchObject({ code: 'COMMAND_FAILED' });
  });

  test('when the clock says so: set back, an entry that waits for its next try does not wait for years', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { folder, entry } = await entryFor(await due(), { via: { kind: 'command', command: ['false'] } });
    const bench = benchOf(folder);
    const first = bench.nextFailure();
    await bench.renewer.update([entry]);
    await first;
    const second = bench.nextFailure();
    vi.setSystemTime(Date.now() - 1000 * DAY);
    for (let i = 0; i < 60 && bench.failed.length < 2; i++) await vi.advanceTimersByTimeAsync(30 * 60_000);
    await second;
    expect(bench.failed).toHaveLength(2);
  });

  test('not before', async () => {
    const { folder, entry } = await entryFor(await fresh());
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    await bench.renewer.close();
    expect(est.requests).toEqual([]);
  });

  test('not for an entry that is disabled, has no renew:, or can not be loaded', async () => {
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    await bench.renewer.update([
      { ...entry, name: 'a', enabled: false },
      { ...entry, name: 'b', renew: null },
      { ...entry, name: 'c', identity: null },
    ]);
    expect(['a', 'b', 'c'].map((name) => bench.renewer.statusOf(name))).toEqual([null, null, null]);
    await expect(bench.renewer.renew('c')).rejects.toMatchObject({ code: 'ENTRY_UNUSABLE' });
    await bench.renewer.close();
    expect(est.requests).toEqual([]);
  });

  test('four at once of many', async () => {
    const held: (() => void)[] = [];
    let arrived = (): void => undefined;
    const four = new Promise<void>((resolve) => {
      arrived = () => held.length === 4 && resolve();
    });
    est.misbehave = async (response, { request }) => {
      await new Promise<void>((resolve) => {
        held.push(resolve);
        arrived();
      });
      est.answer(response, [(await est.certify(request)).certPem]);
    };
    const entries = [];
    const folder = folderFor();
    for (let i = 0; i < 9; i++) entries.push({ ...(await entryFor(await due())).entry, name: `e${i}` });
    const bench = benchOf(folder);
    await bench.renewer.update(entries);
    await four;
    expect(entries.filter(({ name }) => bench.renewer.statusOf(name)?.next === null)).toHaveLength(4);
    est.misbehave = null;
    for (const go of held) go();
    while (bench.renewed.length < 9) await bench.nextRenewal();
  });
});

describe('a renewal that fails', () => {
  test('is tried again after a minute, then two', async () => {
    failing();
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    for (const [failures, seconds] of [
      [1, 60],
      [2, 120],
      [3, 240],
    ] as const) {
      const failure = bench.nextFailure();
      if (failures === 1) await bench.renewer.update([entry]);
      else await bench.renewer.renew('me').catch(() => undefined);
      const { next } = await failure;
      const wait = (next.getTime() - Date.now()) / 1000;
      expect(wait).toBeGreaterThan(seconds - 2);
      expect(wait).toBeLessThan(seconds * 1.1);
    }
    expect(bench.renewer.statusOf('me')).toMatchObject({ failures: 3, last: null });
  });

  test('is tried again automatically, and then succeeds', async () => {
    failing();
    // A tenth of what remains is 1 s, the least.
    const { folder, entry } = await entryFor(await fresh({ notBefore: ago(30_000), notAfter: ahead(10_000) }));
    const bench = benchOf(folder);
    const failure = bench.nextFailure();
    const renewal = bench.nextRenewal();
    await bench.renewer.update([entry]);
    const { next } = await failure;
    est.misbehave = null;
    await renewal;
    expect(est.times[1]).toBeGreaterThanOrEqual(next.getTime());
    expect(bench.renewer.statusOf('me')).toMatchObject({ failures: 0, last_error: null });
  });

  test.each([
    ['7200', 7200],
    ['31536000', 86_400],
    ['soon', 60],
  ])('is tried again not before Retry-After: %s', async (field, seconds) => {
    failing(503, { 'retry-after': field });
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    const failure = bench.nextFailure();
    await bench.renewer.update([entry]);
    const wait = ((await failure).next.getTime() - Date.now()) / 1000;
    expect(wait).toBeGreaterThan(seconds - 2);
    expect(wait).toBeLessThan(seconds * 1.1);
  });

  test('by hand, before it is due: it waits until it is', async () => {
    failing();
    const { folder, entry } = await entryFor(await fresh());
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    const { next } = bench.renewer.statusOf('me') ?? {};
    await expect(bench.renewer.renew('me')).rejects.toMatchObject({ code: 'CA_REFUSED' });
    expect(bench.renewer.statusOf('me')?.next).toBe(next);
  });

  test('an expired certificate is tried, and it says that it is expired', async () => {
    failing(403);
    const { folder, entry } = await entryFor(await fresh({ notBefore: ago(DAY), notAfter: ago(HOUR) }));
    const bench = benchOf(folder);
    const failure = bench.nextFailure();
    await bench.renewer.update([entry]);
    expect(await failure).toMatchObject({
      message: expect.stringMatching(/answered 403 without a word; the certificate expired 20\d\d-/) as string,
      hint: expect.stringMatching(/then: mtlsd cert set me --cert FILE --key FILE$/) as string,
    });
  });
});

describe('202', () => {
  test('the same request is sent again when the CA said, and then renews', async () => {
    est.misbehave = (response) => void response.writeHead(202, { 'retry-after': '1' }).end();
    const { folder, entry } = await entryFor(await fresh({ notBefore: ago(30_000), notAfter: ahead(10_000) }));
    const bench = benchOf(folder);
    const failure = bench.nextFailure();
    const renewal = bench.nextRenewal();
    await bench.renewer.update([entry]);
    const { code, message, next } = await failure;
    expect({ code, message }).toEqual({ code: 'CA_PENDING', message: 'the CA has not decided on the request yet' });
    est.misbehave = null;
    await renewal;
    expect(est.requests).toHaveLength(2);
    expect(est.requests[0]?.der.equals(est.requests[1]?.der ?? Buffer.alloc(0))).toBe(true);
    expect(est.times[1]).toBeGreaterThanOrEqual(next.getTime());
  });
});

describe('a restart', () => {
  test('asks no sooner than the next try was planned', async () => {
    failing();
    const { folder, entry } = await entryFor(await due());
    const first = benchOf(folder);
    const failure = first.nextFailure();
    await first.renewer.update([entry]);
    const { next } = await failure;
    await first.renewer.close();
    const second = benchOf(folder);
    await second.renewer.update([entry]);
    expect(second.renewer.statusOf('me')).toMatchObject({
      next: next.toISOString(),
      failures: 1,
      last_error: expect.stringMatching(/503/) as string,
    });
    await second.renewer.close();
    expect(est.requests).toHaveLength(1);
    expect(statSync(join(folder, 'renewals.json')).mode & 0o777).toBe(0o600);
  });

  test('with another certificate: what failed before is no matter', async () => {
    failing();
    const { folder, entry } = await entryFor(await due());
    const first = benchOf(folder);
    const failure = first.nextFailure();
    await first.renewer.update([entry]);
    await failure;
    await first.renewer.close();
    est.misbehave = null;
    writePair(folder, await due());
    const again = await entryOf({ via: { kind: 'est', url: est.url }, target: entry.renew.target, root, folder });
    const second = benchOf(folder);
    const renewal = second.nextRenewal();
    await second.renewer.update([again]);
    await renewal;
    expect([second.renewed.length, second.failed]).toEqual([1, []]);
  });

  test.each(['', '{', '[]', 'null', '{"me":1}', '{"me":{"next":"x"}}'])('with a damaged history: %j', async (text) => {
    const { folder, entry } = await entryFor(await due());
    writeFileSync(join(folder, 'renewals.json'), text);
    const bench = benchOf(folder);
    const renewal = bench.nextRenewal();
    await bench.renewer.update([entry]);
    await renewal;
    expect([bench.renewed.length, bench.failed]).toEqual([1, []]);
  });

  test('with a clock that was years ahead', async () => {
    failing();
    const { folder, entry } = await entryFor(await due());
    const fingerprint = entry.identity.leaf.fingerprint256;
    const known = {
      fingerprint,
      last: null,
      next: Date.now() + 3000 * DAY,
      failures: 3,
      error: 'x',
      before: null,
      after: null,
    };
    writeFileSync(join(folder, 'renewals.json'), JSON.stringify({ me: known }));
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    expect(Date.parse(bench.renewer.statusOf('me')?.next ?? '')).toBeLessThan(Date.now() + 1.2 * DAY);
  });
});

describe('one renewal at a time', () => {
  test('two renewers of the same files: one certificate', async () => {
    const { folder, entry } = await entryFor(await due());
    const benches = ['a', 'b'].map((name) => benchOf(folder, { stateFile: join(folder, `${name}.json`) }));
    const outcomes = await Promise.all(
      benches.map(async ({ renewer }) => {
        await renewer.update([{ ...entry }]);
        return renewer.renew('me');
      }),
    );
    expect(outcomes.filter((outcome) => outcome === null)).toHaveLength(1);
    expect(est.issued).toHaveLength(1);
    expect(benches.map(({ reloads }) => reloads())).toEqual([1, 1]);
  });

  test('asked for while it is under way: it is the same', async () => {
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    const [one, other] = await Promise.all([bench.renewer.renew('me'), bench.renewer.renew('me')]);
    expect(one).toBe(other);
    expect(est.issued).toHaveLength(1);
  });

  test('files that were replaced manually in the meantime are used, and the CA gets no request', async () => {
    const { folder, entry } = await entryFor(await due());
    const byHand = await fresh();
    writePair(folder, byHand);
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    expect(await bench.renewer.renew('me')).toBeNull();
    expect(est.requests).toEqual([]);
    expect(readFileSync(join(folder, 'me.crt'), 'utf8')).toBe(byHand.chainPem);
  });
});

describe('the end', () => {
  test('closing ends a talk with a CA that says nothing, and is no failure', async () => {
    let asked = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    est.misbehave = () => asked();
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    await reached;
    await bench.renewer.close();
    expect(bench.failed).toEqual([]);
  });

  test('an entry that is taken out while it is renewed is not tried again', async () => {
    let answer = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      est.misbehave = (response) => {
        answer = () => void response.writeHead(503).end();
        resolve();
      };
    });
    const { folder, entry } = await entryFor(await due());
    const bench = benchOf(folder);
    const failure = bench.nextFailure();
    await bench.renewer.update([entry]);
    await reached;
    await bench.renewer.update([]);
    answer();
    await failure;
    expect(bench.renewer.statusOf('me')).toBeNull();
  });

  test('a rehearsal issues nothing and finds what would fail', async () => {
    const { folder, entry } = await entryFor(await fresh());
    const bench = benchOf(folder);
    await bench.renewer.update([entry]);
    await bench.renewer.rehearse('me');
    expect(est.requests).toEqual([]);
    await est.close();
    const fault = await bench.renewer.rehearse('me').then(
      () => null,
      (error: RenewalFault) => error.code,
    );
    expect(fault).toBe('CA_UNREACHABLE');
    rmSync(join(folder, 'me.key'));
    await expect(bench.renewer.renew('me')).rejects.toMatchObject({ code: 'ENTRY_UNUSABLE' });
  });
});
