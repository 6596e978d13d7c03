import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';

/** Of this machine, where the pinned one is not meant. */
function oldNode(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules'));
  for (const program of [...folders, '/usr/bin', '/usr/local/bin'].flatMap((dir) => [
    join(dir, 'node'),
    join(dir, 'nodejs'),
  ])) {
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    const [, major = '99', minor = ''] = /^v(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
    if (Number(major) < 24 || (major === '24' && Number(minor) < 17)) return program;
  }
  if (process.env.MTLSD_TEST_ALL)
    throw new Error('MTLSD_TEST_ALL asks for every test, and no Node older than 24.17 is installed');
  process.stderr.write('left out: tests that need a Node older than 24.17, which is not installed\n');
  return null;
}
const old = oldNode();

test.runIf(old !== null)('on a Node that is too old, npx with the package says what to install', () => {
  const dir = temporaryDirectory();
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [archive = ''] = readdirSync(dir);
  execFileSync('tar', ['-xzf', join(dir, archive), '-C', dir]);
  const { status, stdout, stderr } = spawnSync(old ?? '', [join(dir, 'package/bin/mtlsd.js'), 'status'], {
    encoding: 'utf8',
  });
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /^mtlsd: Node [\d.]+ is too old .*: mtlsd requires Node 24\.17 or newer\nnext: install Node 24 .*npx -p node@24 -p mtlsd mtlsd\n$/,
  );
});

test('the package alone, without a checkout and without any other package, runs the demo', async () => {
  const dir = temporaryDirectory();
  // Without prepack: other tests use dist/ while this one runs, and npm test has built it.
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [archive = ''] = readdirSync(dir);
  execFileSync('tar', ['-xzf', join(dir, archive), '-C', dir]);
  const root = join(dir, 'package');
  // What users don't need is not there: sources, pictures, what makes the schemas.
  expect(readdirSync(root).sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'config',
    'deploy',
    'dist',
    'docs',
    'package.json',
  ]);
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  expect(names.filter((name) => /\.(ts|tsx|png|map)$/.test(name))).toEqual([]);
  expect(existsSync(join(root, 'src'))).toBe(false);
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
  expect(readFileSync(join(root, 'dist/ui/index.html'), 'utf8')).toContain('/assets/');
  expect(readFileSync(join(root, 'dist/mtlsd.1'), 'utf8')).toContain('.SS mtlsd trust add');
  expect(readFileSync(join(root, 'dist/cli/LICENCES.txt'), 'utf8')).toMatch(/^undici \d/m);

  const child = spawn(process.execPath, [join(root, 'bin/mtlsd.js'), 'demo'], {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const line of createInterface({ input: child.stdout })) {
    text += `${line}\n`;
    if (line.startsWith('Log: ')) break;
  }
  expect(text).toMatch(/the origin saw +CN=demo-client/);
  child.kill('SIGTERM');
  await new Promise((resolve) => child.on('close', resolve));
});
