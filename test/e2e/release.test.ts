import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';
import { hasTool } from '../support/tools.ts';

test.runIf(hasTool('dpkg-deb'))(
  'npm run release builds every package, the same twice, and publishes nothing',
  () => {
    const dir = join(temporaryDirectory(), 'clone');
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
        cwd: dir,
        stdio: 'pipe',
      });
    execFileSync('git', ['clone', '--quiet', '--no-hardlinks', '.', dir]);
    symlinkSync(join(process.cwd(), 'node_modules'), join(dir, 'node_modules'));
    const { version } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { version: string };
    const release = () => spawnSync(process.execPath, ['release/run.ts', version], { cwd: dir, encoding: 'utf8' });

    writeFileSync(join(dir, '.git/info/exclude'), 'node_modules\n');
    expect(release()).toMatchObject({ status: 1, stderr: expect.stringContaining('release: CHANGELOG.md ') });
    writeFileSync(join(dir, 'CHANGELOG.md'), `# Changelog\n\n## ${version} - 2026-01-31\n\n- First.\n`);
    expect(release().stderr).toContain('the work tree has changes');
    git('commit', '--quiet', '--all', '--message', 'release');

    const first = release();
    expect([first.status, first.stderr]).toEqual([0, expect.not.stringContaining('release:')]);
    expect(first.stdout).toContain('Nothing is published');
    const out = join(dir, 'release/out');
    const sums = readFileSync(join(out, 'SHA256SUMS'), 'utf8');
    expect(execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: out, encoding: 'utf8' })).toBe('');
    const names = readdirSync(out);
    expect(names).toEqual(
      expect.arrayContaining([
        `mtlsd-${version}.tgz`,
        `mtlsd-${version}.cdx.json`,
        expect.stringMatching(/^mtlsd_.*\.deb$/),
      ]),
    );
    const listed = execFileSync('tar', ['-tzf', join(out, `mtlsd-${version}.tgz`)], { encoding: 'utf8' });
    expect(listed).toContain('package/LICENSE');
    expect(listed).not.toMatch(/\.png|\/src\/|\/test\/|write-schemas/);
    const { components } = JSON.parse(readFileSync(join(out, `mtlsd-${version}.cdx.json`), 'utf8')) as {
      components: { name: string }[];
    };
    const bundled = components.map(({ name }) => name);
    expect(bundled).toEqual(expect.arrayContaining(['undici', 'fastify', 'preact', 'node']));
    expect(bundled).not.toContain('vitest');

    expect(release().status).toBe(0);
    expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8')).toBe(sums);
  },
  300_000,
);
