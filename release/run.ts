/**
 * `npm run release -- VERSION`: checks that this commit can be released as VERSION, builds every package into release/out, and
 * stops before publishing. The same commit gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDeb } from './deb.ts';
import { problemsOf } from './problems.ts';
import { bundledSbom } from './sbom.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const OUT = join(ROOT, 'release/out');

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');

const [version = ''] = process.argv.slice(2);
const problems = problemsOf({
  version,
  packageVersion: (JSON.parse(read('package.json')) as { version: string }).version,
  lockVersion: (JSON.parse(read('package-lock.json')) as { version: string }).version,
  changelog: read('CHANGELOG.md'),
  images: ['deploy/compose/compose.yaml', 'deploy/kubernetes/sidecar.yaml', 'deploy/kubernetes/gateway.yaml'].map(
    (name) => ({
      name,
      text: read(name),
    }),
  ),
  changedFiles: run('git', 'status', '--porcelain'),
});
if (problems.length > 0) {
  for (const problem of problems) process.stderr.write(`release: ${problem}\n`);
  process.exit(1);
}

const epoch = Number(run('git', 'log', '-1', '--format=%ct'));
rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
run('npm', 'run', '--silent', 'build');
run('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', OUT);
await buildDeb({ version, epoch, out: OUT });
const sbom = run('npm', 'sbom', '--sbom-format', 'cyclonedx', '--package-lock-only');
const bundles = read('dist/cli/LICENCES.txt') + read('dist/ui/LICENCES.md');
writeFileSync(join(OUT, `mtlsd-${version}.cdx.json`), bundledSbom(sbom, bundles, epoch));
const sums = readdirSync(OUT)
  .sort()
  .map(
    (file) =>
      `${createHash('sha256')
        .update(readFileSync(join(OUT, file)))
        .digest('hex')}  ${file}\n`,
  )
  .join('');
writeFileSync(join(OUT, 'SHA256SUMS'), sums);
process.stdout.write(`${sums}
release/out holds version ${version}, built from ${run('git', 'rev-parse', '--short', 'HEAD')}. Nothing is published. Next:
  git tag -s v${version} && git push origin v${version}
  npm publish release/out/mtlsd-${version}.tgz
  docker build --tag mtlsd:${version} .
`);
