import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';

test('the package alone, without a checkout and without any other package, runs the demo', async () => {
  const dir = temporaryDirectory();
  execFileSync('npm', ['pack', '--silent', '--pack-destination', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [archive = ''] = readdirSync(dir);
  execFileSync('tar', ['-xzf', join(dir, archive), '-C', dir]);
  const root = join(dir, 'package');
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
