import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildDeb } from '../../release/deb.ts';
import { temporaryDirectory } from '../support/daemon.ts';
import { createPki } from '../support/pki.ts';
import { runInMachine } from '../support/systemd-machine.ts';
import { hasTool, isRoot } from '../support/tools.ts';

const canBoot = isRoot() && hasTool('systemd-nspawn') && hasTool('dpkg-deb');

describe.runIf(canBoot)('the Debian package, on a machine with systemd', () => {
  const dir = temporaryDirectory();
  let deb = '';
  let next = '';
  beforeAll(async () => {
    deb = await buildDeb({ version: '0.1.0', epoch: 1_700_000_000, out: dir });
    next = await buildDeb({ version: '0.1.1', epoch: 1_700_000_000, out: dir });
  }, 120_000);

  test('is the same bytes when it is built again', async () => {
    const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
    const again = await buildDeb({ version: '0.1.0', epoch: 1_700_000_000, out: temporaryDirectory() });
    expect(hash(again)).toBe(hash(deb));
  });

  test('is installed, started, upgraded, removed and purged, and leaves nothing', () => {
    const output = runInMachine(
      `
say() { echo "== $*"; }
files() { find /etc /usr/bin /usr/lib /usr/share /var/lib /var/cache -xdev -path '*mtlsd*' | sort; }
before=$(files)
dpkg -i /inside/mtlsd_0.1.0_*.deb >/dev/null
say installed $(systemctl is-active mtlsd) $(systemctl is-enabled mtlsd)
export MTLSD_HOME=/var/lib/mtlsd
say health "$(mtlsd health)"
say version $(mtlsd --version)
say user $(ps -o user= -p $(systemctl show mtlsd -p MainPID --value))
say modes $(stat -c '%a:%U' /var/lib/mtlsd /etc/mtlsd/credentials /var/cache/mtlsd/ca.pem)
say proxy "$(curl -sS -x http://127.0.0.1:8740 --cacert /var/cache/mtlsd/ca.pem https://mtlsd.test/)"
say man $(man -w mtlsd)
say completion $(bash -ic 'source /usr/share/bash-completion/completions/mtlsd; COMP_WORDS=(mtlsd hea); COMP_CWORD=1; _mtlsd; echo "\${COMPREPLY[0]}"' 2>/dev/null)
say score $(systemd-analyze security mtlsd | sed -n 's/.*exposure level for mtlsd.service: \\([0-9.]*\\).*/\\1/p')
old=$(systemctl show mtlsd -p MainPID --value)
systemctl reload mtlsd
ca=$(sha256sum < /var/lib/mtlsd/ca/ca.pem)
echo '# mine' >> /etc/mtlsd/mtlsd.yaml
dpkg -i /inside/mtlsd_0.1.1_*.deb >/dev/null
say upgraded $(mtlsd --version) $(systemctl is-active mtlsd) $(tail -1 /etc/mtlsd/mtlsd.yaml)
test "$ca" = "$(sha256sum < /var/lib/mtlsd/ca/ca.pem)" && say same ca
test "$old" != "$(systemctl show mtlsd -p MainPID --value)" && say restarted
systemctl stop mtlsd
dpkg -i /inside/mtlsd_0.1.0_*.deb >/dev/null 2>&1
say stopped stays $(systemctl is-active mtlsd || true)
systemctl start mtlsd
dpkg -r mtlsd >/dev/null 2>&1
say removed $(systemctl is-active mtlsd || true) $(ls -d /usr/lib/mtlsd /etc/mtlsd /var/lib/mtlsd 2>/dev/null)
dpkg -P mtlsd >/dev/null 2>&1
say purged "$(getent passwd mtlsd || echo no user)"
say left "$(diff <(echo "$before") <(files) | grep '^>' || echo nothing)"
`,
      [deb, next],
    );
    expect(output.split('\n').filter((line) => line.startsWith('== '))).toEqual([
      '== installed active enabled',
      '== health ready, admin API on http://127.0.0.1:8741',
      '== version 0.1.0',
      '== user mtlsd',
      '== modes 700:mtlsd 700:root 644:mtlsd',
      '== proxy this answer comes from mtlsd: the request used the proxy',
      '== man /usr/share/man/man1/mtlsd.1.gz',
      '== completion health',
      expect.stringMatching(/^== score [01]\.\d$/),
      '== upgraded 0.1.1 active # mine',
      '== same ca',
      '== restarted',
      '== stopped stays inactive',
      '== removed inactive /etc/mtlsd /var/lib/mtlsd',
      '== purged no user',
      '== left nothing',
    ]);
  });

  test('presents a certificate whose passphrase is a credential, to clients that socket activation let wait', async () => {
    const root = await (await createPki()).root();
    root.write(dir, 'root');
    (await root.issue({ cn: 'service', eku: ['clientAuth'] })).write(dir, 'client');
    (await root.issue({ cn: 'localhost', sans: ['localhost'] })).write(dir, 'server');
    execFileSync(
      'openssl',
      [
        'ec',
        '-aes256',
        '-passout',
        'pass:open sesame',
        '-in',
        join(dir, 'client.key'),
        '-out',
        join(dir, 'locked.key'),
      ],
      { stdio: 'ignore' },
    );
    writeFileSync(
      join(dir, 'certificates.yaml'),
      `version: 1
certificates:
  - host: localhost
    port: 9443
    cert: client.crt
    key: locked.key
    passphrase: { file: /run/credentials/mtlsd.service/secret_partner }
trust: { system: false, ca: [root.crt] }
`,
    );
    const files = ['root.crt', 'client.crt', 'locked.key', 'server.crt', 'server.key', 'certificates.yaml'];
    const output = runInMachine(
      `
say() { echo "== $*"; }
dpkg -i /inside/mtlsd_0.1.0_*.deb >/dev/null
systemctl stop mtlsd
printf 'open sesame\\n' > /etc/mtlsd/credentials/partner; chmod 600 /etc/mtlsd/credentials/partner
cd /inside
install -o mtlsd -g mtlsd -m 600 certificates.yaml locked.key client.crt root.crt /var/lib/mtlsd/
systemd-run -q -u origin --property=WorkingDirectory=/inside openssl s_server -accept 9443 -www -cert server.crt -key server.key -CAfile root.crt -Verify 1 -verify_return_error
systemctl start mtlsd.socket
say before $(systemctl is-active mtlsd || true)
curl -sS -x http://127.0.0.1:8740 --retry 20 --retry-delay 1 --retry-all-errors --fail --cacert /var/cache/mtlsd/ca.pem https://localhost:9443/ > page 2>error || { cat error; curl -sS -x http://127.0.0.1:8740 -k https://localhost:9443/; }
say sent $(grep -o 'CN *= *service' page | head -1 | tr -d ' ')
say after $(systemctl is-active mtlsd)
say address $(curl -sS -x http://127.0.0.1:8740 http://mtlsd.test/ | cut -d: -f1)
say inherited $(grep -o '"proxy":\\[[^]]*\\]' /var/lib/mtlsd/run.json)
say private $(stat -c %a /run/credentials/mtlsd.service/secret_partner)
systemctl kill -s KILL mtlsd; for i in $(seq 100); do systemctl is-active -q mtlsd && [ "$(MTLSD_HOME=/var/lib/mtlsd mtlsd health 2>/dev/null)" ] && break; sleep 0.1; done
say again $(curl -sS -x http://127.0.0.1:8740 http://mtlsd.test/ | cut -d: -f1)
`,
      [deb, ...files.map((file) => join(dir, file))],
    );
    expect(output.split('\n').filter((line) => line.startsWith('== '))).toEqual([
      '== before inactive',
      '== sent CN=service',
      '== after active',
      '== address this answer comes from mtlsd',
      '== inherited "proxy":["127.0.0.1:8740"]',
      '== private 400',
      '== again this answer comes from mtlsd',
    ]);
  });

  test('has a user unit that runs under a manager of users', () => {
    const output = runInMachine(
      `
dpkg -i /inside/mtlsd_0.1.0_*.deb >/dev/null
useradd -m alice
systemctl start user@$(id -u alice).service
as() { setpriv --reuid alice --regid alice --init-groups env -i HOME=/home/alice PATH=/usr/bin:/bin XDG_RUNTIME_DIR=/run/user/$(id -u alice) "$@"; }
as systemctl --user start mtlsd
echo "== user $(as systemctl --user is-active mtlsd)"
# The system service has the usual port, so this daemon took another, and run finds it.
echo "== run $(as mtlsd run -- curl -sS http://mtlsd.test/)"
echo "== apart $(as mtlsd status --json | grep -c '"127.0.0.1:8740"')" || true
as systemctl --user reload mtlsd
as systemctl --user stop mtlsd
echo "== stopped $(as systemctl --user is-active mtlsd)" || true
`,
      [deb],
    );
    expect(output.split('\n').filter((line) => line.startsWith('== '))).toEqual([
      '== user active',
      '== run this answer comes from mtlsd: the request used the proxy',
      '== apart 0',
      '== stopped inactive',
    ]);
  });
});
