import { fork } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { editStore, versionOf } from '../../../../src/certs/store/edit.ts';
import { lockFile } from '../../../../src/core/files/lock.ts';
import { writeAtomically } from '../../../../src/core/files/atomic-write.ts';
import { parseStore } from '../../../../src/certs/store/parse.ts';
import { DAY } from '../../../support/pki.ts';
import { folderFor, Watched } from './support.ts';

const add = (name: string) =>
  ({ do: 'add-certificate', certificate: { name, host: `${name}.example`, cert: 'x.pem' } }) as const;

function storeIn(folder: string, text = 'version: 1 # mine\n'): string {
  const file = path.join(folder, 'certificates.yaml');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function names(file: string): string[] {
  const outcome = parseStore(readFileSync(file, 'utf8'), file);
  return outcome.ok ? outcome.store.entries.map(({ name }) => name) : ['broken'];
}

describe('an edit', () => {
  test('is in the file when it is acknowledged; nothing else is left in the folder', async () => {
    const folder = folderFor();
    const file = storeIn(folder);
    await editStore(file, add('a'));
    expect(names(file)).toEqual(['a']);
    expect(readFileSync(file, 'utf8')).toContain('# mine');
    expect(readdirSync(folder)).toEqual(['certificates.yaml']);
  });

  test('keeps the mode of the file', async () => {
    const file = storeIn(folderFor());
    chmodSync(file, 0o640);
    await editStore(file, add('a'));
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  test('follows a symbolic link, which stays one', async () => {
    const folder = folderFor();
    mkdirSync(path.join(folder, 'dotfiles'));
    storeIn(path.join(folder, 'dotfiles'));
    const link = path.join(folder, 'certificates.yaml');
    symlinkSync('dotfiles/certificates.yaml', link);
    await editStore(link, add('a'));
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readlinkSync(link)).toBe('dotfiles/certificates.yaml');
    expect(names(path.join(folder, 'dotfiles', 'certificates.yaml'))).toEqual(['a']);
  });

  test('that changes nothing does not write', async () => {
    const file = storeIn(folderFor(), 'version: 1\nverification: { mode: report }\n');
    const before = statSync(file).ino;
    await editStore(file, { do: 'set-mode', mode: 'report' });
    expect(statSync(file).ino).toBe(before);
  });

  test('of another version than the caller saw is a conflict', async () => {
    const file = storeIn(folderFor());
    const version = versionOf((await editStore(file, add('a'))).text);
    await editStore(file, add('b'), { ifVersion: version });
    await expect(editStore(file, add('c'), { ifVersion: version })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(names(file)).toEqual(['a', 'b']);
  });

  test('that names CA certificates which can not be read is refused', async () => {
    const file = storeIn(folderFor());
    await expect(editStore(file, { do: 'set-trust', trust: { ca: ['nowhere.pem'] } })).rejects.toMatchObject({
      code: 'INVALID',
    });
    expect(readFileSync(file, 'utf8')).toBe('version: 1 # mine\n');
  });

  test('of a file that is not there says how it is made', async () => {
    await expect(editStore(path.join(folderFor(), 'none.yaml'), add('a'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: 'mtlsd start makes it',
    });
  });

  test.skipIf(process.getuid?.() === 0)('in a folder that can not be written says so', async () => {
    const folder = folderFor();
    const file = storeIn(folder);
    chmodSync(folder, 0o500);
    await expect(editStore(file, add('a'))).rejects.toMatchObject({ code: 'NOT_WRITABLE' });
    chmodSync(folder, 0o700);
  });
});

describe('a manual edit in the meantime', () => {
  test('is a conflict, and not lost', async () => {
    const folder = folderFor();
    const file = storeIn(folder, `version: 1\n# ${'x'.repeat(20_000)}\n`);
    const edit = editStore(file, add('a')); // in a thread, so that there is time
    await once(process, 'worker'); // the file has been read, and is being edited
    writeFileSync(file, 'version: 1 # by hand\n');
    await expect(edit).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(readFileSync(file, 'utf8')).toBe('version: 1 # by hand\n');
    expect(readdirSync(folder)).toEqual(['certificates.yaml']);
  });

  test('is seen at the last moment before the rename', async () => {
    const file = storeIn(folderFor());
    const written = await writeAtomically(file, 'ours', { mode: 0o600, proceed: () => false });
    expect([written, readFileSync(file, 'utf8')]).toEqual([false, 'version: 1 # mine\n']);
  });
});

describe('writers at the same time', () => {
  test('come one after another, in one process', async () => {
    const file = storeIn(folderFor());
    await Promise.all(Array.from({ length: 12 }, (_, i) => editStore(file, add(`n${i}`))));
    expect(names(file).sort()).toEqual(Array.from({ length: 12 }, (_, i) => `n${i}`).sort());
  });

  test('come one after another, in several processes', async () => {
    const file = storeIn(folderFor());
    const children = Array.from({ length: 3 }, (_, i) =>
      fork(path.join(import.meta.dirname, 'edit-child.ts'), [file, `p${i}-`, '8']),
    );
    await Promise.all(children.map((child) => once(child, 'exit')));
    expect(names(file)).toHaveLength(24);
  });

  test('do not wait for one that died with the lock', async () => {
    const file = storeIn(folderFor());
    const dead = fork(path.join(import.meta.dirname, 'edit-child.ts'), [file, 'x', '0']);
    await once(dead, 'exit');
    writeFileSync(`${file}.lock`, JSON.stringify({ token: 't', pid: dead.pid, host: hostname(), started: Date.now() }));
    await editStore(file, add('a'));
    expect(names(file)).toEqual(['a']);
  });

  test('do not wait for an earlier process of the same number, as in a container', async () => {
    const file = storeIn(folderFor());
    writeFileSync(`${file}.lock`, JSON.stringify({ token: 't', pid: process.pid, host: hostname(), started: 0 }));
    await editStore(file, add('a'));
    expect(names(file)).toEqual(['a']);
  });

  test('wait for another one of this process although the clock was set in the meantime', async () => {
    const file = storeIn(folderFor());
    const unlock = await lockFile(file);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + DAY });
    onTestFinished(() => void vi.useRealTimers());
    const edited = editStore(file, add('a')).then(() => 'edited');
    expect(await Promise.race([edited, wait(300, 'waits')])).toBe('waits');
    await unlock();
    expect(await edited).toBe('edited');
  });
});

test('the store edits its file and puts it in force', async () => {
  const watched = await Watched.open(path.join(folderFor(), 'certificates.yaml'), 'version: 1\n');
  const { store } = watched;
  const added = await store.edit(add('a'));
  expect(added).toMatchObject({ ok: true, change: { added: ['a'] } });
  const { version } = store.current;
  await store.edit({ do: 'edit-certificate', name: 'a', set: { enabled: false } }, { ifVersion: version });
  expect(store.current.entries[0]).toMatchObject({ enabled: false, source: { cert: 'x.pem', passphrase: null } });
  await expect(store.edit({ do: 'remove-certificate', name: 'a' }, { ifVersion: version })).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  await store.edit({ do: 'remove-certificate', name: 'a' });
  expect(store.current.entries).toEqual([]);
});
