import { type ChildProcess, fork } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { leafCache } from '../../../../src/certs/local-ca/leaf-cache.ts';
import { openLocalCa } from '../../../../src/certs/local-ca/local-ca.ts';
import { type LocalCa, type LocalCaOptions, type Rotation, signerFor } from '../../../../src/certs/local-ca/state.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { temporaryDirectory } from '../../../support/daemon.ts';
import { DAY } from '../../../support/pki.ts';

const HOUR = DAY / 24;
let dir: string;
const opened: LocalCa[] = [];
beforeEach(() => {
  dir = path.join(temporaryDirectory(), 'ca');
});
afterEach(() => {
  vi.useRealTimers();
  for (const ca of opened.splice(0)) ca.close();
  rmSync(path.dirname(dir), { recursive: true });
});

const file = (name: string): string => path.join(dir, name);
const certificatesIn = (name: string): string[] =>
  (readFileSync(file(name), 'utf8').match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? []).map(
    (pem) => new X509Certificate(pem).fingerprint256,
  );
const keyIsOf = (certificate: X509Certificate): boolean =>
  certificate.checkPrivateKey(createPrivateKey(readFileSync(file('ca.key'))));

async function open(options?: LocalCaOptions): Promise<LocalCa & { readonly rotation: Rotation }> {
  const ca = await openLocalCa(dir, options);
  opened.push(ca);
  return ca as LocalCa & { readonly rotation: Rotation };
}

const signerOf = ({ current }: LocalCa): X509Certificate => current.signer.certificate;
const nextOf = ({ current }: LocalCa): X509Certificate | undefined => current.next?.signer.certificate;

describe('a rotation', () => {
  test('lets clients trust a new CA beside the one that signs, and the name that is tested is signed by the new one', async () => {
    const ca = await open();
    const first = signerOf(ca);
    const before = Date.now();
    expect(await ca.rotation.begin(30 * DAY)).toBe(true);
    const second = nextOf(ca) as X509Certificate;
    expect(signerOf(ca)).toBe(first);
    expect(ca.current.next?.takesOver.getTime()).toBeGreaterThanOrEqual(before + 30 * DAY);
    for (const [name, count] of [
      ['ca.pem', 2],
      ['bundle.pem', 2],
    ] as const)
      expect(certificatesIn(name).slice(-count)).toEqual([first.fingerprint256, second.fingerprint256]);
    expect(statSync(file('next.pem')).mode & 0o777).toBe(0o600);
    expect(second.subject).not.toBe(first.subject);
    expect(signerFor(ca.current, 'mtlsd.test').certificate).toBe(second);
    expect(signerFor(ca.current, 'api.example').certificate).toBe(first);
    expect(ca.current.refused).toEqual([first, second]);
    expect(await ca.rotation.begin(DAY)).toBe(false);
  });

  test('finishes: the new CA signs alone, its key is in place of the other', async () => {
    const changes: string[] = [];
    const ca = await open({ onChange: (_, why) => void changes.push(why) });
    const first = signerOf(ca);
    const leaves = leafCache((host) => signerFor(ca.current, host));
    const context = leaves.contextFor('api.example');
    await ca.rotation.begin(DAY);
    expect(leaves.contextFor('api.example')).toBe(context);
    const second = nextOf(ca) as X509Certificate;
    expect(await ca.rotation.finish()).toBe(true);
    expect(leaves.contextFor('api.example')).not.toBe(context);
    expect([signerOf(ca), nextOf(ca)]).toEqual([second, undefined]);
    expect(certificatesIn('ca.pem')).toEqual([second.fingerprint256]);
    expect(certificatesIn('bundle.pem')).not.toContain(first.fingerprint256);
    expect(certificatesIn('previous.pem')).toEqual([first.fingerprint256]);
    expect([keyIsOf(second), existsSync(file('next.pem'))]).toEqual([true, false]);
    // A server that shows a leaf of the first is refused still: the system may trust it.
    expect(ca.current.refused.map(({ fingerprint256 }) => fingerprint256)).toEqual(
      [second, first].map((each) => each.fingerprint256),
    );
    expect([await ca.rotation.finish(), await ca.rotation.cancel()]).toEqual([false, false]);
    expect(changes).toEqual(['rotating', 'taken over']);
    await ca.rotation.begin(DAY);
    await ca.rotation.finish();
    expect(certificatesIn('previous.pem')).toEqual([second.fingerprint256, first.fingerprint256]);
    expect(signerOf(await open()).fingerprint256).toBe(signerOf(ca).fingerprint256);
  });

  test('is cancelled: all is as before', async () => {
    const ca = await open();
    const before = readFileSync(file('ca.pem'), 'utf8');
    await ca.rotation.begin(DAY);
    expect(await ca.rotation.cancel()).toBe(true);
    expect(readFileSync(file('ca.pem'), 'utf8')).toBe(before);
    expect([nextOf(ca), existsSync(file('next.pem')), existsSync(file('previous.pem'))]).toEqual([
      undefined,
      false,
      false,
    ]);
    expect(nextOf(await open())).toBeUndefined();
  });

  test('that failed half-way is cancelled all the same, and one that can not begin leaves nothing', async () => {
    const ca = await open();
    const first = signerOf(ca);
    await ca.rotation.begin(DAY);
    rmSync(file('ca.pem'));
    mkdirSync(file('ca.pem')); // behind the new key, the certificate can't be written
    await expect(ca.rotation.finish()).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect([keyIsOf(first), signerOf(ca)]).toEqual([false, first]);
    rmSync(file('ca.pem'), { recursive: true });
    expect(await ca.rotation.cancel()).toBe(true);
    expect(signerOf(await open()).fingerprint256).toBe(first.fingerprint256);
    rmSync(file('ca.pem'));
    mkdirSync(file('ca.pem'));
    await expect(ca.rotation.begin(DAY)).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect([existsSync(file('next.pem')), nextOf(ca)]).toEqual([false, undefined]);
    rmSync(file('ca.pem'), { recursive: true });
  });

  test('of a CA that was removed is forgotten', async () => {
    await (await open()).rotation.begin(DAY);
    for (const name of ['ca.pem', 'ca.key']) rmSync(file(name));
    const made = signerOf(await open()).fingerprint256;
    const again = await open();
    expect([signerOf(again).fingerprint256, nextOf(again)]).toEqual([made, undefined]);
  });

  test('takes place by itself when its time has come, also after a start, and a long way ahead', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    let changed = (): void => {};
    const change = new Promise<void>((resolve) => (changed = resolve));
    await (await open()).rotation.begin(40 * DAY);
    const ca = await open({ onChange: changed });
    const second = nextOf(ca) as X509Certificate;
    // setTimeout fires at once beyond 2^31 ms, 24.8 days.
    for (let hour = 0; hour < 40 * 24 - 1; hour++) vi.advanceTimersByTime(HOUR);
    expect(nextOf(ca)).toBe(second);
    vi.advanceTimersByTime(HOUR + 1);
    await change;
    expect(signerOf(ca)).toBe(second);
  });

  test('is never longer than the present CA is valid', async () => {
    const ca = await open();
    await ca.rotation.begin(20 * 365 * DAY);
    expect(ca.current.next?.takesOver).toEqual(signerOf(ca).validToDate);
  });

  test('keeps limits, and encrypts the new key too', async () => {
    const passphrase = { passphrase: { text: new Secret('secret') } };
    const plain = await open();
    await plain.rotation.begin(DAY);
    const notices: string[] = [];
    const ca = await open({ ...passphrase, onNotice: (message) => void notices.push(message) });
    expect(notices.map((notice) => path.basename(notice.split(' ')[0] ?? ''))).toEqual(['ca.key', 'next.pem']);
    for (const name of ['ca.key', 'next.pem'])
      expect(readFileSync(file(name), 'utf8')).toMatch(/BEGIN ENCRYPTED PRIVATE KEY/);
    await ca.rotation.finish();
    expect(readFileSync(file('ca.key'), 'utf8')).toMatch(/BEGIN ENCRYPTED PRIVATE KEY/);
    expect(signerOf(await open(passphrase)).fingerprint256).toBe(signerOf(ca).fingerprint256);
  });

  test('a file of it that is damaged, or that others can read, stops the start with the next step', async () => {
    await (await open()).rotation.begin(DAY);
    const text = readFileSync(file('next.pem'), 'utf8');
    for (const damaged of [text.replace(/takes over: .*/, ''), text.replace(/-----BEGIN PRIVATE[^]*/, ''), 'nonsense'])
      await expect(
        (async () => {
          writeFileSync(file('next.pem'), damaged);
          await open();
        })(),
      ).rejects.toMatchObject({
        code: 'BAD_CONFIGURATION',
        hint: `to go on without the new CA: rm ${file('next.pem')}`,
      });
  });
});

describe('after a crash', () => {
  /** The files before and after an action, by name. */
  async function steps(action: (rotation: Rotation) => Promise<unknown>, begun: boolean) {
    const ca = await open();
    if (begun) await ca.rotation.begin(DAY);
    const [before, after] = [temporaryDirectory(), temporaryDirectory()];
    const keep = (folder: string): void => {
      for (const name of readdirSync(dir)) copyFileSync(file(name), path.join(folder, name));
    };
    const [first, second] = [signerOf(ca), nextOf(ca)];
    keep(before);
    await action(ca.rotation);
    keep(after);
    ca.close();
    /** The state with the first so many of these files as they are after the action. */
    const crashAfter = (names: readonly string[]): void => {
      for (const name of readdirSync(dir)) rmSync(file(name));
      for (const name of readdirSync(before)) copyFileSync(path.join(before, name), file(name));
      for (const name of names) {
        if (existsSync(path.join(after, name))) copyFileSync(path.join(after, name), file(name));
        else rmSync(file(name), { force: true });
      }
    };
    return { first, second, crashAfter };
  }

  test.each([1, 2, 3, 4])('behind step %i of the take-over, the next start continues', async (done) => {
    const { first, second, crashAfter } = await steps((rotation) => rotation.finish(), true);
    crashAfter(['previous.pem', 'ca.key', 'ca.pem', 'next.pem'].slice(0, done));
    const ca = await open();
    const over = done >= 2;
    expect(signerOf(ca).fingerprint256).toBe((over ? second : first)?.fingerprint256);
    expect(nextOf(ca)?.fingerprint256).toBe(over ? undefined : second?.fingerprint256);
    expect(certificatesIn('ca.pem')).toEqual([...(over ? [] : [first]), second].map((each) => each?.fingerprint256));
    expect([keyIsOf(signerOf(ca)), existsSync(file('next.pem'))]).toEqual([true, !over]);
    if (!over) await ca.rotation.finish();
    expect(certificatesIn('previous.pem')).toEqual([first.fingerprint256]);
  });

  test('behind the first step of the beginning, both are trusted after the next start', async () => {
    const { first, crashAfter } = await steps((rotation) => rotation.begin(DAY), false);
    crashAfter(['next.pem']);
    const ca = await open();
    expect(certificatesIn('ca.pem')).toEqual([first.fingerprint256, nextOf(ca)?.fingerprint256]);
    expect(certificatesIn('bundle.pem')).toContain(nextOf(ca)?.fingerprint256);
  });

  test('behind the first step of a cancel, it is under way as before', async () => {
    const { second, crashAfter } = await steps((rotation) => rotation.cancel(), true);
    crashAfter(['ca.key', 'ca.pem']);
    expect(nextOf(await open())?.fingerprint256).toBe(second?.fingerprint256);
    expect(certificatesIn('ca.pem')).toHaveLength(2);
  });

  test('what a killed writer left is removed, since it may hold a key', async () => {
    await open();
    for (const name of ['.ca.key.1.ab.tmp', '.next.pem.1.ab.tmp']) writeFileSync(file(name), 'half a key');
    await open();
    expect(readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  const kills = 20;
  test(`${kills} processes that rotate without end, killed at random moments: each start finds a CA`, {
    timeout: 200_000,
  }, async () => {
    let lost = 0;
    for (let round = 0; round < kills; round++) {
      const child: ChildProcess = fork(path.join(import.meta.dirname, 'rotation-child.ts'), [dir], {
        stdio: 'ignore',
        execArgv: [], // without what the test runner adds
      });
      const exited = once(child, 'exit');
      await once(child, 'message');
      await wait(Math.random() * 60); // the moment of the kill, not a wait for something
      child.kill('SIGKILL');
      await exited;
      const ca = await open();
      const trusted = [signerOf(ca), ...(nextOf(ca) ? [nextOf(ca)] : [])].map((each) => each?.fingerprint256);
      if (JSON.stringify(certificatesIn('ca.pem')) !== JSON.stringify(trusted) || !keyIsOf(signerOf(ca))) lost++;
      ca.close();
    }
    expect(lost).toBe(0);
  });
});
