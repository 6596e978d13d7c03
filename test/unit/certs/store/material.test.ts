/** Certificates and keys from variables and programs: loaded, refreshed, and never written to disk. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { ahead, type Authority, createPki, DAY, type Issued } from '../../../support/pki.ts';
import { folderFor, Watched } from './support.ts';

let root: Authority;
let first: Issued;
let second: Issued;

beforeAll(async () => {
  root = await (await createPki()).root();
  [first, second] = await Promise.all([
    root.issue({ cn: 'first', freshKey: true }),
    root.issue({ cn: 'second', freshKey: true }),
  ]);
});

const api = parseAuthority('api.example:443');
const sent = (watched: Watched) => watched.store.current.chooseCertificate(api).entry?.identity?.leaf.fingerprint256;
const problems = (watched: Watched) => watched.store.current.entries[0]?.problems.map(({ code }) => code);

async function opened(entry: string, folder = folderFor()): Promise<{ folder: string; watched: Watched }> {
  const file = path.join(folder, 'certificates.yaml');
  const watched = await Watched.open(file, `version: 1\ncertificates:\n  - { name: a, host: api.example, ${entry} }\n`);
  return { folder, watched };
}

function setVariables(values: Readonly<Record<string, string>>): void {
  Object.assign(process.env, values);
  onTestFinished(() => {
    for (const name of Object.keys(values)) delete process.env[name];
  });
}

/** A program that writes what is in a file, and notes that it ran. */
const cat = (file: string) => `{ command: [sh, -c, "echo >> ran; cat ${file}"] }`;
const runs = (folder: string) =>
  existsSync(path.join(folder, 'ran')) ? readFileSync(path.join(folder, 'ran')).length : 0;

describe('from variables', () => {
  test('PEM', async () => {
    setVariables({ MTLSD_T_CERT: first.certPem, MTLSD_T_KEY: first.keyPem });
    const { folder, watched } = await opened('cert: { env: MTLSD_T_CERT }, key: { env: MTLSD_T_KEY }');
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    expect(problems(watched)).toEqual([]);
    expect(readdirSync(folder)).toEqual(['certificates.yaml']);
  });

  test('a PFX in base64', async () => {
    const folder = folderFor();
    first.write(path.join(folder, 'elsewhere'), 'me');
    const { stdout } = spawnSync(
      'openssl',
      ['pkcs12', '-export', '-in', 'me.crt', '-inkey', 'me.key', '-passout', 'pass:x'],
      { cwd: path.join(folder, 'elsewhere') },
    );
    setVariables({ MTLSD_T_PFX: stdout.toString('base64') });
    const { watched } = await opened('pfx: { env: MTLSD_T_PFX }, passphrase: x');
    expect(sent(watched)).toBe(first.x509.fingerprint256);
  });

  test('that are not set: the entry fails closed and says which', async () => {
    const { watched } = await opened('cert: { env: MTLSD_T_NONE }');
    expect(watched.store.current.entries[0]).toMatchObject({
      identity: null,
      problems: [
        { code: 'MATERIAL_UNAVAILABLE', message: "the variable MTLSD_T_NONE is not set in the daemon's environment" },
      ],
    });
  });

  test('that hold something else: the message has the name, and none of the content', async () => {
    setVariables({ MTLSD_T_CERT: 'secret garbage' });
    const { watched } = await opened('cert: { env: MTLSD_T_CERT }');
    const [problem] = watched.store.current.entries[0]?.problems ?? [];
    expect(problem).toMatchObject({
      code: 'FORMAT_UNKNOWN',
      message: expect.stringMatching(/^the variable MTLSD_T_CERT is/) as string,
    });
    expect(JSON.stringify(problem)).not.toContain('secret garbage');
  });
});

describe('from programs', () => {
  test('the certificate and its key in one output; run once, in the folder of the store', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'both.pem'), first.certPem + first.keyPem, { mode: 0o600 });
    const { watched } = await opened(`cert: ${cat('both.pem')}`, folder);
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    expect(runs(folder)).toBe(1);
    // A change of the store runs nothing again; the next manual reload does.
    await watched.store.edit({ do: 'set-mode', mode: 'report' });
    expect(runs(folder)).toBe(1);
    writeFileSync(path.join(folder, 'both.pem'), second.certPem + second.keyPem);
    await watched.store.reload(true);
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    await watched.store.reload();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
    expect(runs(folder)).toBe(2);
    expect(readdirSync(folder).sort()).toEqual(['both.pem', 'certificates.yaml', 'ran']);
  });

  test('refresh: the new certificate is used automatically', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'both.pem'), first.certPem + first.keyPem, { mode: 0o600 });
    const { watched } = await opened('cert: { command: [cat, both.pem], refresh: 1s }', folder);
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    writeFileSync(path.join(folder, 'both.pem'), second.certPem + second.keyPem);
    const { change } = await watched.loaded();
    expect(change.changed).toEqual(['a']);
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('refresh continues when the clock is set back', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'both.pem'), first.certPem + first.keyPem, { mode: 0o600 });
    const { watched } = await opened('cert: { command: [cat, both.pem], refresh: 1s }', folder);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - DAY });
    onTestFinished(() => void vi.useRealTimers());
    writeFileSync(path.join(folder, 'both.pem'), second.certPem + second.keyPem);
    await watched.loaded();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('refresh that fails: what was read before is used, and it says so, until it works again', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'both.pem'), first.certPem + first.keyPem, { mode: 0o600 });
    const { watched } = await opened('cert: { command: [cat, both.pem], refresh: 1s }', folder);
    writeFileSync(path.join(folder, 'both.pem'), 'nothing');
    await watched.loaded();
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    expect(problems(watched)).toEqual(['MATERIAL_STALE']);
    writeFileSync(path.join(folder, 'both.pem'), second.certPem + second.keyPem);
    await watched.loaded();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
    expect(problems(watched)).toEqual([]);
  });

  test('refresh that fails when the certificate has expired: the entry fails closed', async () => {
    const folder = folderFor();
    const brief = await root.issue({ cn: 'brief', freshKey: true, notAfter: ahead(2000) });
    writeFileSync(path.join(folder, 'both.pem'), brief.certPem + brief.keyPem, { mode: 0o600 });
    const { watched } = await opened('cert: { command: [cat, both.pem], refresh: 1s }', folder);
    expect(sent(watched)).toBe(brief.x509.fingerprint256);
    writeFileSync(path.join(folder, 'both.pem'), 'nothing');
    while (watched.store.current.entries[0]?.identity) await watched.loaded();
    expect(problems(watched)).toContain('FORMAT_UNKNOWN');
  });

  test.each([
    ['fails', '[sh, -c, "echo secret; exit 3"]', /^the command sh failed with exit code 3$/],
    ['is not there', '[./nowhere]', /^the command \.\/nowhere can't be started: ENOENT$/],
    ['writes too much', '[sh, -c, "yes secret | head -c 2000000"]', /^the command sh wrote more than 1048576 bytes$/],
  ])('one that %s', async (_name, command, message) => {
    const { watched } = await opened(`cert: { command: ${command} }`);
    const [problem] = watched.store.current.entries[0]?.problems ?? [];
    expect(problem).toMatchObject({ code: 'MATERIAL_UNAVAILABLE', message: expect.stringMatching(message) as string });
    expect(JSON.stringify(problem)).not.toContain('secret');
  });

  test('that of a disabled entry is not run, until it is switched on', async () => {
    const folder = folderFor();
    writeFileSync(path.join(folder, 'both.pem'), first.certPem + first.keyPem, { mode: 0o600 });
    const { watched } = await opened(`cert: ${cat('both.pem')}, enabled: false`, folder);
    expect(runs(folder)).toBe(0);
    await watched.store.edit({ do: 'edit-certificate', name: 'a', set: { enabled: true } });
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    expect(runs(folder)).toBe(1);
  });
});

test('a swap of files that a crash interrupted loads', async () => {
  const folder = folderFor();
  writeFileSync(path.join(folder, 'a.crt'), first.certPem);
  writeFileSync(path.join(folder, 'a.key'), second.keyPem, { mode: 0o600 });
  writeFileSync(path.join(folder, 'a.crt.next'), second.certPem);
  const { watched } = await opened('cert: a.crt, key: a.key', folder);
  expect(sent(watched)).toBe(second.x509.fingerprint256);
  expect(problems(watched)).toEqual([]);
});
