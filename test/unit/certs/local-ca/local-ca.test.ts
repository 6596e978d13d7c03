import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLocalCa as open } from '../../../../src/certs/local-ca/local-ca.ts';
import type { LocalCaOptions } from '../../../../src/certs/local-ca/state.ts';
import { MtlsdError } from '../../../../src/core/errors.ts';
import { basicConstraints, certificateParts, mayUseKey, OID } from '../../../../src/core/extensions.ts';
import { certificateFacts } from '../../../../src/core/facts.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { ago, ahead, createPki, DAY, type Issued, KEY_USAGE, type Pki } from '../../../support/pki.ts';

let pki: Pki;
let home: string;
let dir: string;

beforeAll(async () => {
  pki = await createPki();
});
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'mtlsd-ca-'));
  dir = path.join(home, 'ca');
});
afterEach(() => rmSync(home, { recursive: true }));

async function openLocalCa(dir: string, options?: LocalCaOptions) {
  const ca = await open(dir, options);
  const [certificate] = ca.current.anchors;
  return {
    certificate,
    certPem: certificate.toString(),
    bundlePath: ca.bundlePath,
    refreshBundle: () => ca.refreshBundle(),
  };
}

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);
const file = (name: string) => path.join(dir, name);

async function refusal(options?: LocalCaOptions): Promise<MtlsdError> {
  const error: unknown = await openLocalCa(dir, options).catch((reason: unknown) => reason);
  if (error instanceof MtlsdError) return error;
  throw new Error('not refused', { cause: error });
}

function put(issued: Issued, key = issued.keyPem): void {
  mkdirSync(dir, { mode: 0o700 });
  writeFileSync(file('ca.pem'), issued.certPem);
  writeFileSync(file('ca.key'), key, { mode: 0o600 });
}

describe('the first start', () => {
  test('makes a CA that may issue leaves and nothing else', async () => {
    const ca = await openLocalCa(dir);
    const facts = certificateFacts(ca.certificate);
    expect(facts).toMatchObject({ self_signed: true, ca: true, key: 'EC P-256', signature: 'ecdsa-with-SHA256' });
    expect(facts.subject).toMatch(/^CN=mtlsd local CA \(.+\\?, \d{4}-\d\d-\d\d\), O=mtlsd$/);
    expect(facts.subject_name.common_name?.length).toBeLessThanOrEqual(64);
    const parts = certificateParts(ca.certificate);
    expect(basicConstraints(parts)).toEqual({ ca: true, pathLength: 0 });
    expect(parts.extensions.get(OID.basicConstraints)?.critical).toBe(true);
    expect(parts.extensions.get(OID.keyUsage)?.critical).toBe(true);
    expect([mayUseKey(parts, 'keyCertSign'), mayUseKey(parts, 'digitalSignature')]).toEqual([true, false]);
    expect(parts.extensions.has(OID.subjectKeyIdentifier)).toBe(true);
    const years = ca.certificate.validToDate.getUTCFullYear() - ca.certificate.validFromDate.getUTCFullYear();
    expect(years).toBe(10);
    expect(ca.certificate.validFromDate.getTime()).toBeLessThan(Date.now() - 3_000_000);
  });

  test.each([0o000, 0o022, 0o077])('keeps the key to its owner under umask %o', async (mask) => {
    const before = process.umask(mask);
    try {
      await openLocalCa(dir);
    } finally {
      process.umask(before);
    }
    expect(mode(dir)).toBe('700');
    expect(mode(file('ca.key'))).toBe('600');
    expect(mode(file('ca.pem'))).toBe('644');
    expect(mode(file('bundle.pem'))).toBe('644');
  });

  test('no two installations share a key', async () => {
    const one = await openLocalCa(dir);
    const two = await openLocalCa(path.join(home, 'other'));
    expect(certificateFacts(one.certificate).spki256).not.toBe(certificateFacts(two.certificate).spki256);
  });

  test('of two starts at once neither writes over the other', async () => {
    const results = await Promise.allSettled([openLocalCa(dir), openLocalCa(dir)]);
    const made = results.filter((result) => result.status === 'fulfilled');
    expect(made.length).toBeGreaterThanOrEqual(1);
    const after = await openLocalCa(dir);
    for (const { value } of made) expect(value.certPem).toBe(after.certPem);
  });
});

describe('every other start', () => {
  test('opens the same CA', async () => {
    const first = await openLocalCa(dir);
    const second = await openLocalCa(dir);
    expect(second.certPem).toBe(first.certPem);
  });

  test('takes a CA that its owner put there', async () => {
    put(await pki.root({ cn: 'my own', key: 'rsa2048' }));
    const ca = await openLocalCa(dir);
    expect(certificateFacts(ca.certificate).subject).toBe('CN=my own');
  });

  test.each([0o644, 0o640, 0o660, 0o601])('refuses a key of mode %o, and says the command', async (wide) => {
    await openLocalCa(dir);
    chmodSync(file('ca.key'), wide);
    const error = await refusal();
    expect(error.message).toContain(`mode 0${wide.toString(8)}`);
    expect(error.hint).toContain(`chmod 600 ${file('ca.key')}`);
  });

  test('refuses a folder in which others could swap the key', async () => {
    await openLocalCa(dir);
    chmodSync(dir, 0o770);
    expect((await refusal()).hint).toBe(`chmod 700 ${dir}`);
  });

  test.each([
    ['ca.key', 'ca.pem'],
    ['ca.pem', 'ca.key'],
  ])('refuses to go on without %s', async (missing, there) => {
    await openLocalCa(dir);
    rmSync(file(missing));
    const error = await refusal();
    expect(error.message).toContain(`${file(missing)} is missing`);
    expect(error.hint).toContain(file(there));
  });

  test('refuses a key and a certificate that do not pair', async () => {
    put(await pki.root(), (await pki.root()).keyPem);
    expect((await refusal()).message).toContain('is not the key of');
  });

  test.each<[string, Parameters<Pki['root']>[0], RegExp]>([
    ['has expired', { notBefore: ago(2 * DAY), notAfter: ago(DAY) }, /expired at \d{4}-/],
    ['is not yet valid', { notBefore: ahead(DAY) }, /valid from \d{4}-/],
    ['is no CA', { ca: false }, /not the certificate of a CA/],
    ['may not sign certificates', { keyUsage: KEY_USAGE.digitalSignature }, /not the certificate of a CA/],
    ['has a key that can not sign here', { key: 'ed25519' }, /of type ed25519/],
  ])('refuses one that %s, and says how to make a new one', async (_, options, message) => {
    put(await pki.root(options));
    const error = await refusal();
    expect(error.code).toBe('BAD_CONFIGURATION');
    expect(error.message).toMatch(message);
    expect(error.hint).toContain(`remove ${file('ca.pem')} and ${file('ca.key')}`);
  });

  test('refuses what can not be read, without showing any of the key', async () => {
    put(await pki.root(), `-----BEGIN PRIVATE KEY-----\n${btoa('0\x06canary')}\n-----END PRIVATE KEY-----\n`);
    const error = await refusal();
    expect(error.message).toMatch(/the private key in .* is damaged|neither PEM nor DER/);
    expect(JSON.stringify(error) + error.message + error.hint).not.toContain('canary');
  });
});

describe('with a passphrase', () => {
  const passphrase = (text: string) => ({ passphrase: { text: new Secret(text) } });
  const key = () => readFileSync(file('ca.key'), 'utf8');
  const openssl = (pass: string) =>
    execFileSync('openssl', ['pkey', '-in', file('ca.key'), '-pubout', '-passin', `pass:${pass}`], { stdio: 'pipe' });

  test('a new key is encrypted as OpenSSL opens it, and opened again', async () => {
    const ca = await openLocalCa(dir, passphrase('Käse 1'));
    expect(key()).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    expect(mode(file('ca.key'))).toBe('600');
    expect(openssl('Käse 1').toString()).toBe(ca.certificate.publicKey.export({ type: 'spki', format: 'pem' }));
    const shown = execFileSync('openssl', ['asn1parse', '-in', file('ca.key')]).toString();
    // 600,000 rounds of PBKDF2 with HMAC-SHA-256, then AES-256
    for (const part of ['PBES2', 'PBKDF2', 'hmacWithSHA256', 'INTEGER           :0927C0', 'aes-256-cbc'])
      expect(shown).toContain(part);
    expect((await openLocalCa(dir, passphrase('Käse 1'))).certPem).toBe(ca.certPem);
  });

  test('a key that is not encrypted is encrypted in place, once, and that is told', async () => {
    const notices: string[] = [];
    const options = { ...passphrase('secret'), onNotice: (message: string) => void notices.push(message) };
    const { certPem } = await openLocalCa(dir);
    expect((await openLocalCa(dir, options)).certPem).toBe(certPem);
    const encrypted = key();
    expect(encrypted).toContain('ENCRYPTED');
    expect(mode(file('ca.key'))).toBe('600');
    await openLocalCa(dir, options);
    expect(key()).toBe(encrypted);
    expect(notices).toEqual([`${file('ca.key')} was not encrypted and now is; copies of it, such as backups, are not`]);
  });

  test('opens what openssl encrypted, by scrypt too', async () => {
    const { certPem } = await openLocalCa(dir);
    const args = ['pkcs8', '-topk8', '-scrypt', '-in', file('ca.key'), '-out', file('new'), '-passout', 'pass:other'];
    execFileSync('openssl', args, { stdio: 'pipe' });
    renameSync(file('new'), file('ca.key'));
    expect((await openLocalCa(dir, passphrase('other'))).certPem).toBe(certPem);
  });

  test.each<[string, LocalCaOptions['passphrase'], RegExp, RegExp]>([
    [
      'is wrong',
      { text: new Secret('wrong') },
      /ca\.passphrase does not open the key in .*ca\.key/,
      /openssl pkey -in .*without it, to make/,
    ],
    [
      'is not in the settings',
      null,
      /is encrypted, and mtlsd\.yaml has no passphrase for it/,
      /set ca\.passphrase: \{ env/,
    ],
    ['is empty', { text: new Secret('') }, /ca\.passphrase: it is empty/, /write a passphrase/],
    [
      'is in no variable',
      { env: 'MTLSD_TEST_UNSET' },
      /ca\.passphrase: the variable MTLSD_TEST_UNSET is not set/,
      /start the daemon with/,
    ],
    [
      'is in no file',
      { file: '/nowhere' },
      /ca\.passphrase: the passphrase file \/nowhere can't be read/,
      /ls -l \/nowhere/,
    ],
    [
      'comes of no command',
      { command: ['false'], cwd: '/' },
      /ca\.passphrase: the passphrase command false failed/,
      /run this command yourself/,
    ],
  ])('one that %s is refused with the next step', async (_, source, message, hint) => {
    await openLocalCa(dir, passphrase('right'));
    const before = key();
    const error = await refusal({ passphrase: source });
    expect(error.code).toBe('BAD_CONFIGURATION');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(key()).toBe(before);
  });
});

describe('the bundle', () => {
  const certificates = () => readFileSync(file('bundle.pem'), 'utf8').match(/-----BEGIN CERTIFICATE-----/g)?.length;

  test('holds the system anchors and the local CA, and loads', async () => {
    const ca = await openLocalCa(dir);
    const bundle = readFileSync(ca.bundlePath, 'utf8');
    expect(certificates()).toBe(new Set(tls.getCACertificates('system')).size + 1);
    expect(bundle.endsWith(ca.certPem)).toBe(true);
  });

  test('is written anew when it is stale, and left alone when not', async () => {
    await openLocalCa(dir);
    const before = statSync(file('bundle.pem')).ino;
    await (await openLocalCa(dir)).refreshBundle();
    expect(statSync(file('bundle.pem')).ino).toBe(before);
    writeFileSync(file('bundle.pem'), 'stale');
    await (await openLocalCa(dir)).refreshBundle();
    expect(new X509Certificate(readFileSync(file('bundle.pem'))).ca).toBe(true);
  });
});
