import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { createPki, DAY, type Authority, type Issued } from '../../../support/pki.ts';
import { folderFor, Watched } from './support.ts';

let root: Authority;
let first: Issued;
let second: Issued;

beforeAll(async () => {
  root = await (await createPki()).root();
  [first, second] = await Promise.all([root.issue(), root.issue({ freshKey: true })]);
});

const api = parseAuthority('api.example:443');
const storeOf = (folder = '.') =>
  `version: 1\ncertificates:\n  - { name: a, host: api.example, cert: ${folder}/a.crt, key: ${folder}/a.key }\n`;

function put(folder: string, { certPem, keyPem }: Issued): void {
  writeFileSync(path.join(folder, 'a.crt'), certPem);
  writeFileSync(path.join(folder, 'a.key'), keyPem, { mode: 0o600 });
}

async function opened(options = {}): Promise<{ folder: string; file: string; watched: Watched }> {
  const folder = folderFor();
  put(folder, first);
  const file = path.join(folder, 'certificates.yaml');
  return { folder, file, watched: await Watched.open(file, storeOf(), options) };
}

const sent = (watched: Watched) => watched.store.current.chooseCertificate(api).entry?.identity?.leaf.fingerprint256;
const changed = { added: [], changed: ['a'], removed: [] };

describe('a renewed certificate is used', () => {
  test('written in place', async () => {
    const { folder, watched } = await opened();
    put(folder, second);
    expect((await watched.loaded()).change).toMatchObject(changed);
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('renamed into place', async () => {
    const { folder, watched } = await opened();
    mkdirSync(path.join(folder, 'new'));
    put(path.join(folder, 'new'), second);
    for (const name of ['a.crt', 'a.key']) renameSync(path.join(folder, 'new', name), path.join(folder, name));
    expect((await watched.loaded()).change).toMatchObject(changed);
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('truncated, then written', async () => {
    const { folder, watched } = await opened();
    for (const name of ['a.crt', 'a.key']) truncateSync(path.join(folder, name));
    put(folder, second);
    await watched.loaded();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('certificate and key one after the other: the old one is used until they fit', async () => {
    const { folder, watched } = await opened();
    writeFileSync(path.join(folder, 'a.crt'), second.certPem);
    const between = await watched.loaded();
    expect(between.next.entries[0]?.problems.map(({ code }) => code)).toEqual(['RENEWAL_INCOMPLETE']);
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    writeFileSync(path.join(folder, 'a.key'), second.keyPem);
    const after = await watched.loaded();
    expect(after.next.entries[0]?.problems).toEqual([]);
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('a Kubernetes secret volume, whose ..data link is swapped', async () => {
    const folder = folderFor();
    const volume = path.join(folder, 'secret');
    for (const [name, identity] of [
      ['..2026_1', first],
      ['..2026_2', second],
    ] as const) {
      mkdirSync(path.join(volume, name), { recursive: true });
      put(path.join(volume, name), identity);
    }
    symlinkSync('..2026_1', path.join(volume, '..data'));
    for (const name of ['a.crt', 'a.key']) symlinkSync(`..data/${name}`, path.join(volume, name));
    const watched = await Watched.open(path.join(folder, 'certificates.yaml'), storeOf('secret'));
    expect(sent(watched)).toBe(first.x509.fingerprint256);
    symlinkSync('..2026_2', path.join(volume, '..data_tmp'));
    renameSync(path.join(volume, '..data_tmp'), path.join(volume, '..data'));
    rmSync(path.join(volume, '..2026_1'), { recursive: true });
    await watched.loaded();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('a folder on the way that is a symbolic link to another', async () => {
    const folder = folderFor();
    for (const [name, identity] of [
      ['v1', first],
      ['v2', second],
    ] as const) {
      mkdirSync(path.join(folder, name));
      put(path.join(folder, name), identity);
    }
    symlinkSync('v1', path.join(folder, 'current'));
    const watched = await Watched.open(path.join(folder, 'certificates.yaml'), storeOf('current'));
    symlinkSync('v2', path.join(folder, 'next'));
    renameSync(path.join(folder, 'next'), path.join(folder, 'current'));
    await watched.loaded();
    expect(sent(watched)).toBe(second.x509.fingerprint256);
  });

  test('a folder that is taken away and comes back', async () => {
    const folder = folderFor();
    const certs = path.join(folder, 'certs');
    mkdirSync(certs);
    put(certs, first);
    const watched = await Watched.open(path.join(folder, 'certificates.yaml'), storeOf('certs'));
    rmSync(certs, { recursive: true });
    await watched.loaded(); // its files don't fit for now
    mkdirSync(certs);
    put(certs, second);
    while (sent(watched) !== second.x509.fingerprint256) await watched.loaded();
    writeFileSync(path.join(certs, 'a.crt'), first.certPem);
    writeFileSync(path.join(certs, 'a.key'), first.keyPem);
    while (sent(watched) !== first.x509.fingerprint256) await watched.loaded();
    expect(watched.store.current.entries[0]?.problems).toEqual([]);
  });
});

describe('a certificate that is gone for good', () => {
  test.each(['as it is', 'set back a day'])(
    'is used during the grace and fails closed after it, with a clock %s',
    async (clock) => {
      const { folder, watched } = await opened({ renewalGraceMs: 150 });
      rmSync(path.join(folder, 'a.key'));
      const during = await watched.loaded();
      expect(during.next.entries[0]?.identity).not.toBeNull();
      if (clock !== 'as it is') vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - DAY });
      onTestFinished(() => void vi.useRealTimers());
      const after = await watched.loaded();
      expect(after.next.entries[0]).toMatchObject({ identity: null, problems: [{ code: 'FILE_MISSING' }] });
      expect(watched.store.current.chooseCertificate(api).entry?.name).toBe('a');
    },
  );

  test('fails closed at once where a reload is asked for', async () => {
    const { folder, watched } = await opened({ watch: false });
    rmSync(path.join(folder, 'a.key'));
    await watched.store.reload();
    expect(watched.store.current.entries[0]?.identity).toBeNull();
  });

  test('fails closed at once where the entry itself was changed', async () => {
    const { file, watched } = await opened();
    writeFileSync(file, storeOf().replace('a.key', 'nowhere.key'));
    expect((await watched.loaded()).next.entries[0]).toMatchObject({
      identity: null,
      problems: [{ code: 'FILE_MISSING' }],
    });
  });
});

test('a folder that may no longer be looked into fails its own entry and not the reload', async () => {
  const folder = folderFor();
  const [open, closed] = [path.join(folder, 'open'), path.join(folder, 'closed', 'deep')];
  for (const certs of [open, closed]) {
    mkdirSync(certs, { recursive: true });
    put(certs, first);
  }
  const file = path.join(folder, 'certificates.yaml');
  const b = `  - { name: b, host: b.example, cert: closed/deep/a.crt, key: closed/deep/a.key }\n`;
  writeFileSync(file, `${storeOf('open')}${b}`);
  // Should the child have to become another user.
  chmodSync(folder, 0o755);
  chmodSync(path.join(open, 'a.key'), 0o644);
  const child = fork(path.join(import.meta.dirname, 'unreadable-child.ts'), [file, path.join(folder, 'closed')], {
    execArgv: [], // without what the test runner adds
  });
  const [entries] = (await once(child, 'message')) as unknown[];
  expect(entries).toMatchObject([
    { name: 'a', usable: true },
    { name: 'b', usable: false, problems: [expect.stringContaining("can't be read: EACCES")] },
  ]);
  await once(child, 'exit');
});

describe('the store file', () => {
  const two = `${storeOf()}  - { name: b, host: b.example, cert: a.crt, key: a.key }\n`;

  test('takes effect when written in place', async () => {
    const { file, watched } = await opened();
    writeFileSync(file, two);
    expect((await watched.loaded()).change).toMatchObject({
      added: ['b'],
      changed: [],
      removed: [],
      entries: 2,
      usable: 2,
    });
  });

  test('takes effect when an editor renames its swap file into place, which is itself ignored', async () => {
    const { folder, file, watched } = await opened();
    writeFileSync(path.join(folder, '.certificates.yaml.swp'), 'x');
    writeFileSync(path.join(folder, '4913'), '');
    writeFileSync(path.join(folder, 'certificates.yaml~'), 'not: valid');
    writeFileSync(path.join(folder, 'next'), two);
    renameSync(path.join(folder, 'next'), file);
    expect((await watched.loaded()).change).toMatchObject({ added: ['b'] });
    expect(watched.unseen).toEqual({ loaded: 0, rejected: 0 });
  });

  test('keeps the identities of entries that did not change', async () => {
    const { file, watched } = await opened();
    const before = watched.store.current.entries[0]?.identity;
    writeFileSync(file, two);
    await watched.loaded();
    expect(watched.store.current.entries[0]?.identity).toBe(before);
  });

  test('a mistake changes nothing; its correction is reported', async () => {
    const { file, watched } = await opened();
    const before = watched.store.current;
    writeFileSync(file, two.replace('version: 1', 'version: 2'));
    expect(await watched.rejected()).toMatchObject([
      { file, line: 1, column: 10, message: 'version is 2', expected: '1' },
    ]);
    expect(watched.store.current).toBe(before);
    expect(watched.store.lastRejection?.problems).toHaveLength(1);
    writeFileSync(file, storeOf());
    await watched.loaded();
    expect(watched.store.lastRejection).toBeNull();
  });

  test('a store file that is a symbolic link is followed', async () => {
    const folder = folderFor();
    put(folder, first);
    mkdirSync(path.join(folder, 'dotfiles'));
    writeFileSync(path.join(folder, 'dotfiles', 'certs.yaml'), storeOf());
    symlinkSync('dotfiles/certs.yaml', path.join(folder, 'certificates.yaml'));
    const watched = await Watched.open(path.join(folder, 'certificates.yaml'), null);
    writeFileSync(path.join(folder, 'dotfiles', 'certs.yaml'), two);
    expect((await watched.loaded()).change).toMatchObject({ added: ['b'] });
  });

  test('that is removed leaves the last good one', async () => {
    const { file, watched } = await opened();
    rmSync(file);
    expect(await watched.rejected()).toMatchObject([{ message: "the file can't be read: ENOENT" }]);
    expect(sent(watched)).toBe(first.x509.fingerprint256);
  });
});

test('100 reloads, 30 of them broken: every lookup in the meantime gets an identity that a good store named', async () => {
  const { folder, file, watched } = await opened({ watch: false });
  mkdirSync(path.join(folder, 'other'));
  put(path.join(folder, 'other'), second);
  const allowed = new Set([first.x509.fingerprint256, second.x509.fingerprint256]);
  const seen = new Set<string | undefined>();
  const state = { reloading: true };
  const looking = Array.from({ length: 50 }, async () => {
    while (state.reloading) {
      seen.add(sent(watched));
      await nextTurn();
    }
  });
  let broken = 0;
  for (let round = 0; round < 100; round++) {
    const good = storeOf(round % 2 ? 'other' : '.');
    writeFileSync(file, round % 10 < 3 ? good.slice(0, -20) : good);
    if (!(await watched.store.reload()).ok) broken++;
  }
  state.reloading = false;
  await Promise.all(looking);
  expect(broken).toBe(30);
  expect(seen).toEqual(allowed);
});

describe('trust anchors', () => {
  test('are followed; one that can no longer be read leaves the last good store', async () => {
    const folder = folderFor();
    const other = await (await createPki()).root();
    writeFileSync(path.join(folder, 'ca.pem'), root.certPem);
    const watched = await Watched.open(
      path.join(folder, 'certificates.yaml'),
      'version: 1\ntrust: { system: false, ca: [ca.pem] }\n',
    );
    const before = watched.store.current.choosePolicy(api);
    writeFileSync(path.join(folder, 'ca.pem'), other.certPem);
    expect((await watched.loaded()).change.sections).toEqual(['trust']);
    const after = watched.store.current.choosePolicy(api);
    expect(after.id).not.toBe(before.id);
    writeFileSync(path.join(folder, 'ca.pem'), 'garbage');
    expect(await watched.rejected()).toMatchObject([{ line: 2, column: 30 }]);
    expect(watched.store.current.choosePolicy(api)).toBe(after);
  });
});
