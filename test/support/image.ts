/**
 * The container image without a container engine: the steps of the Dockerfile, in order, each in a chroot over a copy-on-write
 * view of this machine's files that begins empty. Mounts are private to the process that makes them. Needs root.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../..', import.meta.url).pathname;

export interface Image {
  /** What the image has beyond its base, as tar. */
  readonly archive: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

interface Step {
  readonly word: string;
  readonly rest: string;
}

function steps(): Step[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replace(/\\\n\s*/g, '');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ word: line.split(' ', 1)[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }));
}

/** The pinned Node is the base image's. */
const NODE = `${ROOT}node_modules/node/bin/node`;

const view = (name: string): string => `
mkdir -p ${name}/upper/usr/local/bin ${name}/work ${name}/root
cp ${NODE} ${name}/upper/usr/local/bin/node
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/${name}/upper,workdir=$PWD/${name}/work" ${name}/root
mount -t proc proc ${name}/root/proc
mount --rbind /dev ${name}/root/dev`;

/** Runs a bash script (-eu) in a private mount namespace, in a tmpfs on `dir`; all its processes end with it. */
export async function inPrivate(dir: string, script: string): Promise<string> {
  const file = join(dir, 'script');
  writeFileSync(file, `mount -t tmpfs tmpfs "$1/space"\ncd "$1/space"\n${script}\n`);
  mkdirSync(join(dir, 'space'), { recursive: true });
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'bash', '-eu', file, dir],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => (text += more));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`exit code ${String(code)} of\n${script}\n${text}`);
  return text;
}

/** @param dir an empty folder */
export async function buildImage(dir: string): Promise<Image> {
  const script: string[] = [];
  const env: Record<string, string> = {};
  const found: Record<string, string> = {};
  let stage = '';
  let workdir = '/';
  for (const { word, rest } of steps()) {
    if (word === 'FROM') {
      stage = / AS (\w+)$/.exec(rest)?.[1] ?? 'final';
      workdir = '/';
      script.push(view(stage));
    } else if (word === 'WORKDIR') {
      workdir = rest;
      script.push(`mkdir -p ${stage}/root${workdir}`);
    } else if (word === 'ENV') {
      for (const pair of rest.split(' ')) env[pair.split('=')[0] ?? ''] = pair.slice(pair.indexOf('=') + 1);
    } else if (word === 'COPY') {
      const [, from, paths = ''] = /^(?:--from=(\w+) )?(.*)$/.exec(rest) ?? [];
      const words = paths.split(' ');
      const to = join(workdir, words.pop() ?? '');
      for (const source of words) {
        // Of a folder its content, as Docker copies.
        const path = from ? `${from}/root${source}` : `${ROOT}${source}`;
        script.push(
          `if [ -d ${path} ]; then mkdir -p ${stage}/root${to}; cp -r ${path}/. ${stage}/root${to}; else cp ${path} ${stage}/root${to}; fi`,
        );
      }
    } else if (word === 'RUN') {
      script.push(`chroot ${stage}/root sh -ec 'cd ${workdir}; ${rest.replaceAll("'", "'\\''")}' >&2`);
    } else found[word] = rest;
  }
  const archive = join(dir, 'image.tar');
  // Without the base's Node, and without what commands leave in caches.
  script.push(`tar -C final/upper --exclude=./usr/local/bin/node --exclude=./root -cf ${archive} .`);
  await inPrivate(dir, `exec 3>&1\n${script.join('\n')}`);
  const list = (json: string | undefined): string[] => JSON.parse(json ?? '[]') as string[];
  return {
    archive,
    env,
    workdir,
    user: found.USER ?? '',
    entrypoint: list(found.ENTRYPOINT),
    command: list(found.CMD),
    healthcheck: list(/CMD (\[.*\])/.exec(found.HEALTHCHECK ?? '')?.[1]),
  };
}

/**
 * A script that runs with the image as ./final/root, and the function `contained COMMAND...`, which runs a command as a container
 * engine would that was told runAsNonRoot, drop ALL, no new privileges and a read-only root; the folders that `volumes` names
 * can be written. In the background it needs AS=exec, so that `$!` is the command itself.
 */
export function withImage(image: Image, volumes: readonly string[], script: string): string {
  const [uid = '', gid = ''] = image.user.split(':');
  const env = Object.entries(image.env).map(([name, value]) => `${name}=${value}`);
  return `${view('final')}
tar -C final/root -xf ${image.archive}
${volumes.map((path) => `mkdir -p final/root${path}; mkdir -p volumes${path}; cp -a final/root${path}/. volumes${path}/; chown --reference=final/root${path} volumes${path}; chmod --reference=final/root${path} volumes${path}; mount --bind volumes${path} final/root${path}`).join('\n')}
mount -t tmpfs -o mode=1777 tmpfs final/root/tmp
mount -o remount,ro,bind final/root 2>/dev/null || mount -o remount,ro final/root
contained() {
  \${AS:-} chroot final/root setpriv --reuid ${uid} --regid ${gid} --groups ${gid} --no-new-privs --bounding-set=-all --inh-caps=-all \\
    env -i PATH=/usr/local/bin:/usr/bin:/bin ${env.join(' ')} \${MORE_ENV:-} "$@"
}
${script}`;
}
