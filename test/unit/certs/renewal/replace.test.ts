/** A renewal that is killed: at every step of the replacement, and at 100 random moments of the whole. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadIdentity } from '../../../../src/certs/identity/load.ts';
import { completeReplacement, loadWithNext, replaceFiles } from '../../../../src/certs/renewal/replace.ts';
import type { RenewalTarget } from '../../../../src/certs/renewal/target.ts';
import { estServer } from '../../../support/est-server.ts';
import { ahead, type Authority, createPki, DAY, HOUR, type Issued } from '../../../support/pki.ts';
import { folderFor, loaded, sourceOf, writePair } from './support.ts';

let root: Authority;
let before: Issued;
let after: Issued;

beforeAll(async () => {
  root = await (await createPki()).root();
  before = await root.issue({ cn: 'me', freshKey: true, notAfter: ahead(DAY) });
  after = await root.issue({ cn: 'me', freshKey: true, notAfter: ahead(2 * DAY) });
});

/** The files in the folder when the process ends after so many steps. */
const steps: readonly [string, (file: (name: string) => string) => void, 'before' | 'after'][] = [
  ['nothing yet', () => undefined, 'before'],
  ['the new key written', (at) => writeFileSync(at('me.key.next'), after.keyPem), 'before'],
  ['the new certificate written', (at) => writeFileSync(at('me.crt.next'), after.certPem), 'after'],
  ['the old ones linked', (at) => linkSync(at('me.key'), at('me.key.previous')), 'after'],
  ['the key renamed', (at) => renameSync(at('me.key.next'), at('me.key')), 'after'],
  ['the certificate renamed', (at) => renameSync(at('me.crt.next'), at('me.crt')), 'after'],
];

describe('ended after', () => {
  test.each(steps.map(([name], i) => [name, i] as const))('%s: a pair loads, and is completed', async (_name, end) => {
    const folder = folderFor();
    const target: RenewalTarget = { kind: 'pem', ...writePair(folder, before), passphrase: null };
    for (const [, step] of steps.slice(0, end + 1)) step((name) => join(folder, name));
    const { identity } = await loadWithNext(sourceOf(target), loadIdentity);
    expect([before.x509.fingerprint256, after.x509.fingerprint256]).toContain(identity?.leaf.fingerprint256);
    await completeReplacement(sourceOf(target), loadIdentity);
    const expected = steps[end]?.[2] === 'after' ? after : before;
    expect((await loaded(target)).leaf.fingerprint256).toBe(expected.x509.fingerprint256);
    expect(readdirSync(folder).filter((name) => name.endsWith('.next'))).toEqual([]);
  });

  test('the certificate written, months ago: what is in place ends later, and stays', async () => {
    const folder = folderFor();
    const target: RenewalTarget = { kind: 'pem', ...writePair(folder, after), passphrase: null };
    writeFileSync(join(folder, 'me.key.next'), before.keyPem);
    writeFileSync(join(folder, 'me.crt.next'), before.certPem);
    await completeReplacement(sourceOf(target), loadIdentity);
    expect((await loaded(target)).leaf.fingerprint256).toBe(after.x509.fingerprint256);
    expect(readdirSync(folder).sort()).toEqual(['me.crt', 'me.key']);
  });

  test('garbage beside files that do not fit: the first fault is reported', async () => {
    const folder = folderFor();
    const files = writePair(folder, before);
    writeFileSync(files.key, after.keyPem);
    writeFileSync(`${files.cert}.next`, 'garbage');
    const { identity, problems } = await loadWithNext(
      sourceOf({ kind: 'pem', ...files, passphrase: null }),
      loadIdentity,
    );
    expect(identity).toBeNull();
    expect(problems[0]?.code).toBe('KEY_MISMATCH');
  });
});

test('a folder that can not be written: nothing has changed', async () => {
  const folder = folderFor();
  const files = writePair(folder, before);
  const missing = join(folder, 'gone', 'me.crt');
  const written = replaceFiles([
    { file: files.key, content: after.keyPem },
    { file: missing, content: after.certPem },
  ]);
  await expect(written).rejects.toMatchObject({
    code: 'FILES_NOT_WRITABLE',
    message: "the new certificate can't be written: ENOENT",
  });
  expect(readFileSync(files.key, 'utf8')).toBe(before.keyPem);
  expect(readdirSync(folder).sort()).toEqual(['me.crt', 'me.key']);
});

const kills = 100;
/** A renewal takes some 50 ms: the moments are spread over two of them. */
const longestMs = 100;

test(`killed at ${kills} random moments: nothing that was in place is lost`, async () => {
  let end = DAY;
  const est = await estServer({ root });
  est.misbehave = async (response, { request }) => {
    // Each ends later than the one before, however fast they come.
    end += 2000;
    est.answer(response, [(await est.certify(request, { notAfter: ahead(end) })).certPem]);
  };
  const ends = new Map<string, number>();
  const endOf = (fingerprint: string): number => {
    for (const { x509 } of est.issued) ends.set(x509.fingerprint256, x509.validToDate.getTime());
    return ends.get(fingerprint) ?? 0;
  };
  let acknowledged = 0;
  let interrupted = 0;
  const lane = async (): Promise<void> => {
    const folder = folderFor();
    const first = await root.issue({ cn: 'me', freshKey: true, notAfter: ahead(HOUR) });
    const target: RenewalTarget = { kind: 'pem', ...writePair(folder, first), passphrase: null };
    const rootFile = root.write(join(folder, 'ca'), 'root').cert;
    let last = first.x509.fingerprint256;
    for (let round = 0; round < kills / 4; round++) {
      const child = fork(join(import.meta.dirname, 'kill-child.ts'), [folder, est.url, rootFile], {
        stdio: 'inherit',
        execArgv: [],
      });
      const exited = once(child, 'exit');
      child.on('message', (fingerprint) => {
        last = fingerprint as string;
        acknowledged++;
      });
      await once(child, 'message');
      await wait(Math.random() * longestMs); // the moment of the kill, not a wait for something
      child.kill('SIGKILL');
      await exited;
      if (readdirSync(folder).some((name) => /\.(next|tmp|lock)$/.test(name))) interrupted++;
      const { identity } = await loadWithNext(sourceOf(target), loadIdentity);
      expect(identity, 'a pair loads').not.toBeNull();
      expect(endOf(identity?.leaf.fingerprint256 ?? '')).toBeGreaterThanOrEqual(endOf(last));
    }
    await completeReplacement(sourceOf(target), loadIdentity);
    expect(endOf((await loaded(target)).leaf.fingerprint256)).toBeGreaterThanOrEqual(endOf(last));
    expect(existsSync(`${target.cert}.next`)).toBe(false);
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  await est.close();
  expect(acknowledged).toBeGreaterThanOrEqual(kills);
  // It is no test if every kill came between two renewals.
  expect(interrupted).toBeGreaterThan(kills / 4);
}, 300_000);
