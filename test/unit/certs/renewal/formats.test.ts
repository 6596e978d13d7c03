/** Files of every kind that a certificate may lie in, renewed in place, and read by the loader and by OpenSSL. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RenewalTarget } from '../../../../src/certs/renewal/target.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { type EstServer, estServer } from '../../../support/est-server.ts';
import { ahead, type Authority, createPki, DAY, type Issued, type KeyKind } from '../../../support/pki.ts';
import { benchOf, entryOf, folderFor, loaded, writePair } from './support.ts';

let root: Authority;
let issuer: Authority;
let est: EstServer;

beforeAll(async () => {
  root = await (await createPki()).root();
  issuer = await root.intermediate();
  est = await estServer({ root, issuer, lifetimeMs: 30 * DAY });
});
afterAll(() => est.close());

const issue = (key: KeyKind = 'p256'): Promise<Issued> =>
  issuer.issue({ cn: 'me', sans: ['me.example'], notAfter: ahead(DAY), freshKey: true, key });

async function expectRenewed(folder: string, target: RenewalTarget, rekey = true) {
  const entry = await entryOf({ via: { kind: 'est', url: est.url }, target, root, folder, rekey });
  const bench = benchOf(folder);
  await bench.renewer.update([entry]);
  const notice = await bench.renewer.renew('me');
  const after = await loaded(target);
  expect(after.leaf.fingerprint256).toBe(est.issued.at(-1)?.x509.fingerprint256);
  expect(notice).toMatchObject({
    name: 'me',
    via: 'est',
    subject: 'CN=me',
    fingerprintBefore: entry.identity.leaf.fingerprint256,
    fingerprintAfter: after.leaf.fingerprint256,
  });
  expect(bench.renewed).toEqual([notice]);
  expect(bench.reloads()).toBe(1);
  // The server sends the leaf alone; its issuer comes from the certificate before.
  expect(after.chain.map(({ subject }) => subject)).toEqual(['CN=me', 'CN=test intermediate']);
  expect(after.keyPem() === entry.identity.keyPem()).toBe(!rekey);
  expect(after.facts[0]?.key).toBe(entry.identity.facts[0]?.key);
  expect(readdirSync(folder).filter((name) => /\.next$|\.tmp$|\.lock$/.test(name))).toEqual([]);
  expect(bench.renewer.statusOf('me')).toMatchObject({
    last: expect.any(String) as string,
    last_error: null,
    failures: 0,
    fingerprint_before: entry.identity.leaf.fingerprint256,
    fingerprint_after: after.leaf.fingerprint256,
  });
  return { entry, after };
}

const openssl = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
};
const modeOf = (file: string): number => statSync(file).mode & 0o777;

describe('a certificate and its key', () => {
  test('in two files: modes stay, the ones before are kept', async () => {
    const folder = folderFor();
    const before = await issue();
    const files = writePair(folder, before);
    await expectRenewed(folder, { kind: 'pem', ...files, passphrase: null });
    expect([modeOf(files.cert), modeOf(files.key)]).toEqual([0o640, 0o600]);
    expect(readFileSync(`${files.cert}.previous`, 'utf8')).toBe(before.chainPem);
    expect(readFileSync(`${files.key}.previous`, 'utf8')).toBe(before.keyPem);
    expect(modeOf(`${files.key}.previous`)).toBe(0o600);
  });

  test('a second time: the certificate right before is the one that is kept', async () => {
    const folder = folderFor();
    const target: RenewalTarget = { kind: 'pem', ...writePair(folder, await issue()), passphrase: null };
    const first = await expectRenewed(folder, target);
    est.lifetimeMs += DAY;
    await expectRenewed(folder, target);
    expect(readFileSync(join(folder, 'me.crt.previous'), 'utf8')).toBe(first.after.certPem);
  });

  test('rekey: false leaves the file of the key alone', async () => {
    const folder = folderFor();
    const files = writePair(folder, await issue());
    const { ino } = statSync(files.key);
    await expectRenewed(folder, { kind: 'pem', ...files, passphrase: null }, false);
    expect(statSync(files.key).ino).toBe(ino);
    expect(readdirSync(folder)).not.toContain('me.key.previous');
  });

  test.each<KeyKind>(['p384', 'ed25519', 'rsa2048'])('a key of the kind %s', async (kind) => {
    const folder = folderFor();
    await expectRenewed(folder, { kind: 'pem', ...writePair(folder, await issue(kind)), passphrase: null });
  });

  test.each([true, false])('in one file (a new key: %s)', async (rekey) => {
    const folder = folderFor();
    const before = await issue();
    const cert = join(folder, 'me.pem');
    writeFileSync(cert, before.keyPem + before.chainPem, { mode: 0o600 });
    await expectRenewed(folder, { kind: 'pem', cert, key: null, passphrase: null }, rekey);
    expect(readFileSync(`${cert}.previous`, 'utf8')).toBe(before.keyPem + before.chainPem);
  });

  test('in DER', async () => {
    const folder = folderFor();
    const files = writePair(folder, await issue());
    const pem = join(folderFor(), 'me.key');
    renameSync(files.key, pem);
    openssl('pkey', '-in', pem, '-outform', 'DER', '-out', files.key);
    chmodSync(files.key, 0o600);
    await expectRenewed(folder, { kind: 'pem', ...files, passphrase: null });
    openssl('pkey', '-in', files.key, '-inform', 'DER', '-noout');
  });

  test('in files that symbolic links lead to: the links stay', async () => {
    const folder = folderFor();
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const files = writePair(folder, await issue());
    for (const name of ['me.crt', 'me.key']) {
      renameSync(join(folder, name), join(elsewhere, name));
      symlinkSync(join('elsewhere', name), join(folder, name));
    }
    await expectRenewed(folder, { kind: 'pem', ...files, passphrase: null });
    expect(readlinkSync(files.cert)).toBe('elsewhere/me.crt');
  });
});

describe('with a passphrase', () => {
  const passphrase = { text: new Secret('pass wörd') };

  test.each([
    ['PKCS#8', ['pkcs8', '-topk8', '-v2', 'aes-128-cbc']],
    ['traditional', ['ec', '-aes256']],
  ])('a key that is encrypted (%s) is so again, with AES-256', async (_name, command) => {
    const folder = folderFor();
    const files = writePair(folder, await issue());
    const plain = join(folder, 'plain');
    renameSync(files.key, plain);
    openssl(...command, '-in', plain, '-out', files.key, '-passout', 'pass:pass wörd');
    renameSync(plain, join(folderFor(), 'gone'));
    chmodSync(files.key, 0o600);
    await expectRenewed(folder, { kind: 'pem', ...files, passphrase });
    expect(readFileSync(files.key, 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
    expect(openssl('asn1parse', '-in', files.key)).toMatch(/aes-256-cbc/);
    openssl('pkey', '-in', files.key, '-passin', 'pass:pass wörd', '-noout');
  });

  test.each([
    ['a modern PFX', []],
    ['an old PFX', ['-legacy', '-certpbe', 'PBE-SHA1-RC2-40', '-keypbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
  ])('%s is a modern PFX again, under the same name', async (_name, algorithms) => {
    const folder = folderFor();
    const files = writePair(folderFor(), await issue());
    const pfx = join(folder, 'me.p12');
    const names = ['-name', 'My certificate', '-passout', 'pass:pass wörd'];
    openssl('pkcs12', '-export', '-in', files.cert, '-inkey', files.key, '-out', pfx, ...names, ...algorithms);
    chmodSync(pfx, 0o600);
    await expectRenewed(folder, { kind: 'pfx', pfx, alias: null, passphrase });
    const shown = openssl('pkcs12', '-in', pfx, '-passin', 'pass:pass wörd', '-nodes', '-info');
    expect(shown.match(/friendlyName: .*/g)).toEqual(['friendlyName: My certificate', 'friendlyName: My certificate']);
    expect(shown.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const { stderr } = spawnSync('openssl', ['pkcs12', '-in', pfx, '-passin', 'pass:pass wörd', '-noout', '-info'], {
      encoding: 'utf8',
    });
    expect(stderr).toMatch(/MAC: sha256, Iteration 100000/);
    expect(stderr).toMatch(/Certificate bag|PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256/);
    expect(modeOf(pfx)).toBe(0o600);
  });

  test('a PFX without one', async () => {
    const folder = folderFor();
    const files = writePair(folderFor(), await issue());
    const pfx = join(folder, 'me.p12');
    openssl('pkcs12', '-export', '-in', files.cert, '-inkey', files.key, '-out', pfx, '-passout', 'pass:');
    await expectRenewed(folder, { kind: 'pfx', pfx, alias: null, passphrase: null });
    openssl('pkcs12', '-in', pfx, '-passin', 'pass:', '-noout');
  });
});
