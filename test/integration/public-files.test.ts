import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('public_dir has ca.pem and bundle.pem for all users, with any umask; the home stays closed', async () => {
  const parent = temporaryDirectory();
  const dir = join(parent, 'public');
  const home = join(parent, 'home');
  mkdirSync(home, { mode: 0o700 });
  const umask = process.umask(0o077);
  const daemon = await startDaemon({ home, settings: `public_dir: ${dir}` }).finally(() => process.umask(umask));
  for (const name of ['ca.pem', 'bundle.pem']) {
    expect(readFileSync(join(dir, name), 'utf8')).toBe(readFileSync(join(home, 'ca', name), 'utf8'));
    expect(modeOf(join(dir, name))).toBe(0o644);
  }
  expect([modeOf(dir), modeOf(home)]).toEqual([0o755, 0o700]);
  await daemon.stop();

  const before = statSync(join(dir, 'ca.pem')).ino;
  rmSync(join(dir, 'bundle.pem'));
  const again = await startDaemon({ home });
  // There by the time that the daemon is ready, and the one that did not change is the same file.
  expect(readFileSync(join(dir, 'bundle.pem'), 'utf8')).toContain(readFileSync(again.caFile, 'utf8').trim());
  expect(statSync(join(dir, 'ca.pem')).ino).toBe(before);
  await again.stop();
  rmSync(parent, { recursive: true });
});

test("a folder in the home, or one that can't be created, ends the start", async () => {
  const home = temporaryDirectory();
  const start = (dir: string) => {
    writeFileSync(join(home, 'mtlsd.yaml'), `public_dir: ${dir}`);
    return runMtlsd(['start', '--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
  };
  expect((await start('public')).stderr).toContain(`${home}/public is in the home, which others can't read`);
  writeFileSync(`${home}.file`, '');
  const { code, stderr } = await start(`${home}.file/public`);
  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining(`public_dir: ${home}.file/public can't be written: ENOTDIR`),
  ]);
  rmSync(`${home}.file`);
});
