import { fork } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
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
  /** Rotates in a process of its own, which is killed in front of the given write. */
  async function die(
    action: keyof Rotation,
    write: number,
  ): Promise<{ first: string; second: string; killed: boolean }> {
    rmSync(dir, { recursive: true, force: true });
    const child = fork(path.join(import.meta.dirname, 'rotation-child.ts'), [dir, action, String(write)], {
      stdio: 'ignore',
      execArgv: [], // without what the test runner adds
    });
    const exited = once(child, 'exit');
    const [[first = '', second = '']] = (await once(child, 'message')) as [[string?, string?]];
    const [code, signal] = (await exited) as [number | null, string | null];
    expect([code, signal]).toEqual(signal ? [null, 'SIGKILL'] : [0, null]);
    return { first, second, killed: signal !== null };
  }

  test.each<[keyof Rotation, readonly string[]]>([
    ['begin', ['none', 'under way', 'under way', 'under way']],
    ['finish', ['under way', 'under way', 'over', 'over', 'over', 'over']],
    ['cancel', ['under way', 'under way', 'under way', 'none', 'none']],
  ])('in front of each write of %s, the next start continues', { timeout: 120_000 }, async (action, expected) => {
    const outcomes: string[] = [];
    for (let write = 0, killed = true; killed; write++) {
      const child = await die(action, write);
      killed = child.killed;
      const ca = await open();
      const second = child.second || nextOf(ca)?.fingerprint256;
      const over = signerOf(ca).fingerprint256 === second;
      expect(over || signerOf(ca).fingerprint256 === child.first).toBe(true);
      outcomes.push(over ? 'over' : nextOf(ca) ? 'under way' : 'none');
      const trusted = over ? [second] : nextOf(ca) ? [child.first, second] : [child.first];
      expect(certificatesIn('ca.pem')).toEqual(trusted);
      expect(certificatesIn('bundle.pem').slice(-trusted.length)).toEqual(trusted);
      expect([keyIsOf(signerOf(ca)), existsSync(file('next.pem'))]).toEqual([true, nextOf(ca) !== undefined]);
      expect(readdirSync(dir).filter((name) => /^\.(ca\.key|next\.pem)\./.test(name))).toEqual([]);
      if (nextOf(ca)) await ca.rotation.finish();
      if (over || nextOf(ca)) expect(certificatesIn('previous.pem')).toEqual([child.first]);
    }
    expect(outcomes).toEqual(expected);
  });
});
