import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';
import { hasTool } from '../support/tools.ts';

const unit = (name: string): string => readFileSync(new URL(`../../deploy/systemd/${name}`, import.meta.url), 'utf8');

test.runIf(hasTool('systemd-analyze'))(
  'systemd finds no mistake in the units, and the system service scores 2.0 or better',
  () => {
    const dir = temporaryDirectory();
    mkdirSync(join(dir, 'user'));
    // The program and the manual page are there once the package is installed, which another test does.
    const stands = (text: string): string =>
      text.replace('ExecStart=/usr/bin/mtlsd', 'ExecStart=/bin/true').replace(/^Documentation.*\n/m, '');
    for (const name of ['mtlsd.service', 'mtlsd.socket', 'user/mtlsd.service'])
      writeFileSync(join(dir, name), stands(unit(name)));
    const analyze = (...args: string[]) =>
      spawnSync('systemd-analyze', args, { encoding: 'utf8', env: { ...process.env, XDG_RUNTIME_DIR: dir } });
    const verified = ['mtlsd.service', 'mtlsd.socket', 'user/mtlsd.service'].map((name) => {
      const { status, stderr } = analyze('verify', ...(name.startsWith('user') ? ['--user'] : []), join(dir, name));
      return [status, stderr.split('\n').filter((line) => line.includes('mtlsd'))];
    });
    expect(verified).toEqual([
      [0, []],
      [0, []],
      [0, []],
    ]);
    writeFileSync(
      join(dir, 'mtlsd.service'),
      stands(unit('mtlsd.service')).replace('ProtectHome=yes', 'ProtectHomes=yes'),
    );
    expect(analyze('verify', join(dir, 'mtlsd.service')).stderr).toContain('ProtectHomes');
    writeFileSync(join(dir, 'mtlsd.service'), stands(unit('mtlsd.service')));
    const { status, stdout } = analyze('security', '--offline=true', '--threshold=20', join(dir, 'mtlsd.service'));
    expect([status, /exposure level for mtlsd.service: ([\d.]+)/.exec(stdout)?.[1]]).toEqual([
      0,
      expect.stringMatching(/^1\./),
    ]);
    rmSync(dir, { recursive: true });
  },
);
