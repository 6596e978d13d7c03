/**
 * A throw-away machine with a real systemd as its process 1: a container over a copy-on-write view of this machine's files. What
 * happens in it is gone afterwards. Needs root, systemd and systemd-container.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The view, its network namespace and the container; every mount is private, so nothing outlives the process. */
const OUTER = `
set -e
cd "$1"
mount -t tmpfs tmpfs view
mkdir view/upper view/work view/root
mount -t overlay overlay -o "lowerdir=/,upperdir=view/upper,workdir=view/work" view/root
mount -t tmpfs tmpfs /run
mkdir view/root/inside
cp script "view/root/inside/script"
for file in "\${@:2}"; do ln "$file" "view/root/inside/" 2>/dev/null || cp "$file" "view/root/inside/"; done
cat > view/root/etc/systemd/system/inside.service <<UNIT
[Unit]
DefaultDependencies=no
Requires=dbus.socket basic.target
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash -eu /inside/script
ExecStopPost=/bin/sh -c 'echo "\\\${EXIT_STATUS}" > /inside/status; systemctl --no-block poweroff'
StandardOutput=file:/inside/output
StandardError=file:/inside/output
TimeoutStartSec=100
UNIT
# The image of a container may forbid packages to start services.
rm -f view/root/etc/machine-id view/root/usr/sbin/policy-rc.d
systemd-nspawn --quiet --directory=view/root --boot --register=no --keep-unit --private-network --link-journal=no \\
  --resolv-conf=off --timezone=off --console=pipe systemd.unit=inside.service >/dev/null 2>boot.err </dev/null || cat boot.err
cp view/root/inside/output view/root/inside/status .
`;

/**
 * Runs a bash script (-eu) as root in a machine that has just booted; \`files\` are in /inside.
 * @returns what it printed
 * @throws Error with all that it printed where a command of it fails
 */
export function runInMachine(script: string, files: readonly string[] = []): string {
  const dir = mkdtempSync(join(tmpdir(), 'mtlsd-machine-'));
  try {
    writeFileSync(join(dir, 'script'), script);
    spawnSync('mkdir', [join(dir, 'view')]);
    const args = [
      '--mount',
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'bash',
      '-c',
      OUTER,
      'bash',
      dir,
      ...files,
    ];
    const outer = spawnSync('unshare', args, { encoding: 'utf8', timeout: 110_000, killSignal: 'SIGKILL' });
    const read = (name: string) => spawnSync('cat', [join(dir, name)], { encoding: 'utf8' }).stdout;
    if (read('status').trim() !== '0')
      throw new Error(`the script in the machine failed:\n${read('output')}\n${outer.stdout}${outer.stderr}`);
    return read('output');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
