/**
 * The Debian package, made by dpkg-deb alone: the bundle, the Node that package-lock.json pins (no Debian release has one that is
 * new enough), units, settings, man page and completions. The same commit gives the same bytes.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bashCompletion, fishCompletion, zshCompletion } from '../src/cli/completion-scripts.ts';
import { commandTree } from '../src/cli/command-tree.ts';
import { COMMANDS } from '../src/cli/commands.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const LIB = 'usr/lib/mtlsd';
/** Debian's names of what Node calls x64 and arm64. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface DebOptions {
  readonly version: string;
  /** Unix time that every file gets. */
  readonly epoch: number;
  /** Where the package is written. */
  readonly out: string;
}

/**
 * Needs `npm run build` before.
 * @returns the path of `mtlsd_VERSION_ARCH.deb`
 */
export async function buildDeb({ version, epoch, out }: DebOptions): Promise<string> {
  const architecture = ARCHITECTURES[process.arch];
  if (!architecture)
    throw new Error(`no Debian package for ${process.arch}: expected ${Object.keys(ARCHITECTURES).join(' or ')}`);
  const tree = mkdtempSync(join(tmpdir(), 'mtlsd-deb-'));
  try {
    // A version such as 1.0.0-rc.1 comes before 1.0.0 in Debian's order with a tilde.
    const debianVersion = version.replace('-', '~');
    await fill(tree, version);
    setModes(tree);
    const sizeKb = Math.ceil(filesIn(tree).reduce((sum, file) => sum + statSync(file).size, 0) / 1024);
    control(tree, debianVersion, architecture, sizeKb);
    const deb = join(out, `mtlsd_${debianVersion}_${architecture}.deb`);
    // More threads would give other bytes, and a higher level takes a minute for a tenth of the size.
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--threads-max=1', '--build', tree, deb], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    });
    return deb;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

async function fill(tree: string, version: string): Promise<void> {
  const write = (path: string, content: string | Buffer): void => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
  };
  const copy = (from: string, to: string): void => {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    cpSync(join(ROOT, from), join(tree, to), { recursive: true });
  };
  copy('bin', `${LIB}/bin`);
  for (const part of ['cli', 'ui']) copy(`dist/${part}`, `${LIB}/dist/${part}`);
  const { name, type, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
    string,
    unknown
  >;
  write(`${LIB}/package.json`, `${JSON.stringify({ name, version, type, engines }, null, 2)}\n`);
  copy('node_modules/node/bin/node', `${LIB}/node`);
  write('usr/bin/mtlsd', `#!/bin/sh\nexec /${LIB}/node /${LIB}/bin/mtlsd.js "$@"\n`);
  write('etc/mtlsd/mtlsd.yaml', readFileSync(join(ROOT, 'deploy/debian/mtlsd.yaml')));
  copy('deploy/systemd/mtlsd.service', 'usr/lib/systemd/system/mtlsd.service');
  copy('deploy/systemd/mtlsd.socket', 'usr/lib/systemd/system/mtlsd.socket');
  copy('deploy/systemd/user/mtlsd.service', 'usr/lib/systemd/user/mtlsd.service');
  write('usr/share/man/man1/mtlsd.1.gz', gzipSync(readFileSync(join(ROOT, 'dist/mtlsd.1')), { level: 9 }));
  const nodes = await commandTree(COMMANDS);
  write('usr/share/bash-completion/completions/mtlsd', bashCompletion(nodes));
  write('usr/share/zsh/vendor-completions/_mtlsd', zshCompletion(nodes));
  write('usr/share/fish/vendor_completions.d/mtlsd.fish', fishCompletion(nodes));
  const doc = 'usr/share/doc/mtlsd';
  for (const example of ['mtlsd.example.yaml', 'certificates.example.yaml'])
    copy(`config/${example}`, `${doc}/examples/${example}`);
  write(`${doc}/changelog.gz`, gzipSync(readFileSync(join(ROOT, 'CHANGELOG.md')), { level: 9 }));
  write(`${doc}/copyright`, copyright());
}

/** mtlsd, what is in its bundles, and Node. */
function copyright(): string {
  const node = join(ROOT, 'node_modules/node/node_modules', `node-linux-${process.arch}`, 'LICENSE');
  return [
    ['mtlsd', join(ROOT, 'LICENSE')],
    ['libraries in the bundle', join(ROOT, 'dist/cli/LICENCES.txt')],
    ['libraries in the web page', join(ROOT, 'dist/ui/LICENCES.md')],
    ['Node.js', node],
  ]
    .map(([what, file]) => `${what}\n${'='.repeat(80)}\n\n${readFileSync(file ?? '', 'utf8').trim()}\n`)
    .join('\n');
}

function control(tree: string, version: string, architecture: string, sizeKb: number): void {
  const dir = join(tree, 'DEBIAN');
  mkdirSync(dir);
  const sums = filesIn(tree)
    .filter((file) => !file.startsWith(dir))
    .map((file) => `${createHash('md5').update(readFileSync(file)).digest('hex')}  ${relative(tree, file)}\n`);
  writeFileSync(join(dir, 'md5sums'), sums.join(''));
  writeFileSync(join(dir, 'conffiles'), '/etc/mtlsd/mtlsd.yaml\n');
  writeFileSync(
    join(dir, 'control'),
    `Package: mtlsd
Version: ${version}
Architecture: ${architecture}
Maintainer: The mtlsd developers <mtlsd@localhost>
Installed-Size: ${sizeKb}
Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1, passwd, init-system-helpers
Recommends: ca-certificates, systemd
Section: net
Priority: optional
Description: local mTLS forward proxy
 Presents the right client certificate to each host, checks the server as told,
 and says what happened. The package brings the Node.js that it runs on.
`,
  );
  for (const script of ['postinst', 'prerm', 'postrm']) {
    cpSync(join(ROOT, 'deploy/debian', script), join(dir, script));
    chmodSync(join(dir, script), 0o755);
  }
  chmodSync(dir, 0o755);
}

const EXECUTABLE = ['usr/bin/mtlsd', `${LIB}/node`, `${LIB}/bin/mtlsd.js`];

/** Whatever umask the checkout had. */
function setModes(tree: string): void {
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    chmodSync(path, entry.isDirectory() || EXECUTABLE.includes(relative(tree, path)) ? 0o755 : 0o644);
  }
  chmodSync(tree, 0o755);
}

function filesIn(tree: string): string[] {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
