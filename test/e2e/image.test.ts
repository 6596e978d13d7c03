import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { temporaryDirectory } from '../support/daemon.ts';
import { buildImage, type Image, inPrivate, withImage } from '../support/image.ts';
import { createPki } from '../support/pki.ts';
import { isRoot } from '../support/tools.ts';

const lines = (output: string): string[] => output.split('\n').filter((line) => line.startsWith('== '));
/** For a moment that the daemon needs: at most ten seconds. */
const UNTIL_HEALTHY = 'for i in $(seq 100); do contained mtlsd health >/dev/null 2>&1 && break; sleep 0.1; done';

describe.runIf(isRoot())('the image, by the steps of the Dockerfile', () => {
  let image: Image;
  beforeAll(async () => {
    image = await buildImage(temporaryDirectory());
  }, 240_000);

  test('has a numeric user, mtlsd on the PATH, the licences, and nothing that a user does not need', async () => {
    expect(image).toMatchObject({
      user: '1000:1000',
      entrypoint: ['mtlsd'],
      command: ['start'],
      healthcheck: ['mtlsd', 'health'],
      env: { MTLSD_HOME: '/var/lib/mtlsd' },
    });
    const output = await inPrivate(
      temporaryDirectory(),
      withImage(
        image,
        [],
        `
echo "== version $(contained mtlsd --version)"
echo "== licence $(grep -m1 Apache final/root/opt/mtlsd/LICENSE | tr -s ' ')"
grep -q '^undici' final/root/opt/mtlsd/dist/cli/LICENCES.txt && test -s final/root/opt/mtlsd/dist/ui/LICENCES.md && echo '== third-party texts'
echo "== modes $(stat -c %a:%u:%g final/root/var/lib/mtlsd final/root/var/lib/mtlsd-public | xargs)"
echo "== files $(ls final/root/opt/mtlsd | xargs)"
`,
      ),
    );
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(lines(output)).toEqual([
      `== version ${version}`,
      expect.stringContaining('Apache License'),
      '== third-party texts',
      '== modes 700:1000:1000 755:1000:1000',
      '== files LICENSE bin config dist package.json',
    ]);
  });

  test('runs without privileges on a read-only root, is healthy, and lets another user read the CA alone', async () => {
    const output = await inPrivate(
      temporaryDirectory(),
      withImage(
        image,
        ['/var/lib/mtlsd', '/var/lib/mtlsd-public'],
        `
contained ${image.healthcheck.join(' ')} 2>/dev/null || echo "== unhealthy $?"
printf 'public_dir: /var/lib/mtlsd-public\\n' > final/root/var/lib/mtlsd/mtlsd.yaml
AS=exec contained ${[...image.entrypoint, ...image.command].join(' ')} --listen 127.0.0.1:0 --admin 127.0.0.1:0 > log & daemon=$!
${UNTIL_HEALTHY}
contained ${image.healthcheck.join(' ')} > /dev/null && echo "== healthy"
contained touch /opt/x 2>/dev/null || echo "== read-only"
other() { chroot final/root setpriv --reuid 1234 --regid 1234 --clear-groups "$@"; }
other head -1 /var/lib/mtlsd-public/ca.pem | sed 's/^/== public /'
other cat /var/lib/mtlsd/ca/ca.pem 2>/dev/null || echo '== closed'
kill $daemon; wait $daemon; echo "== stopped $?"
grep -c daemon.stopped log | sed 's/^/== drained /'
`,
      ),
    );
    expect(lines(output)).toEqual([
      '== unhealthy 1',
      '== healthy',
      '== read-only',
      '== public -----BEGIN CERTIFICATE-----',
      '== closed',
      '== stopped 0',
      '== drained 1',
    ]);
  });

  interface Container {
    readonly command: readonly string[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
  }
  interface Pod {
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
  }

  test.each([
    ['sidecar', 'initContainers', 'tls'],
    ['gateway', 'containers', 'orders'],
  ] as const)(
    'starts as kubernetes/%s.yaml says, on volumes as the kubelet lays them out, and follows a new Secret',
    async (name, at, key) => {
      const file = new URL(`../../deploy/kubernetes/${name}.yaml`, import.meta.url);
      const documents = parseAllDocuments(readFileSync(file, 'utf8')).map(
        (document) =>
          document.toJS() as { kind: string; stringData?: object; data?: object; spec: { template: { spec: Pod } } },
      );
      const container = documents.find(({ kind }) => kind === 'Deployment')?.spec.template.spec[at]?.[0];
      const secret = documents.find((one) => one.stringData && 'certificates.yaml' in one.stringData)
        ?.stringData as Record<string, string>;
      const settings = documents.find((one) => one.data && 'mtlsd.yaml' in one.data)?.data as Record<string, string>;
      const dir = temporaryDirectory();
      const root = await (await createPki()).root();
      for (const cn of ['old', 'new']) (await root.issue({ cn, eku: ['clientAuth'] })).write(dir, cn);
      for (const [entry, text] of Object.entries(secret))
        writeFileSync(join(dir, `secret.${entry}`), text.replace(/^REPLACE.*/, 'a long random password'));
      // Ports of the test's own; the rest of the settings as they are.
      writeFileSync(
        join(dir, 'mtlsd.yaml'),
        settings['mtlsd.yaml']?.replace(/:(8740|9464)\b/g, ':0').concat('admin: 127.0.0.1:0\n') ?? '',
      );
      writeFileSync(join(dir, 'command'), container?.command.at(-1) ?? '');
      const listen = name === 'sidecar' ? 'sed -i "1i listen: 127.0.0.1:0" volumes/settings/mtlsd.yaml' : 'true';
      const output = await inPrivate(
        dir,
        withImage(
          image,
          ['/var/lib/mtlsd', '/public', '/settings', '/certificates', '/ca'],
          `
# As the kubelet does for fsGroup 1000: an emptyDir 2777, the files of a Secret 0440 root:1000 behind ..data.
chgrp 1000 volumes/var/lib/mtlsd volumes/public; chown 0 volumes/var/lib/mtlsd; chmod 2777 volumes/var/lib/mtlsd volumes/public
cp ${dir}/mtlsd.yaml volumes/settings/; ${listen}
publish() {
  local version=volumes/certificates/..$1; mkdir $version
  for file in ${dir}/secret.*; do cp $file $version/\${file##*/secret.}; done
  cp ${dir}/$1.crt $version/${key}.crt; cp ${dir}/$1.key $version/${key}.key
  chown -R 0:1000 $version; chmod 0440 $version/*; chmod 2755 $version
  ln -s ..$1 volumes/certificates/..data_tmp; mv -T volumes/certificates/..data_tmp volumes/certificates/..data
}
publish old
for file in $(ls volumes/certificates/..data/); do ln -s ..data/$file volumes/certificates/$file; done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=shared CA" -addext basicConstraints=critical,CA:true,pathlen:0 -addext keyUsage=critical,keyCertSign -keyout volumes/ca/ca.key -out volumes/ca/ca.pem 2>/dev/null
chown 0:1000 volumes/ca/*; chmod 0440 volumes/ca/*
MORE_ENV="${(container?.env ?? []).map(({ name: variable, value }) => `${variable}=${value}`).join(' ')}"
AS=exec contained sh -ec "$(cat ${dir}/command)" > log 2>&1 & daemon=$!
${UNTIL_HEALTHY}
contained mtlsd health > /dev/null && echo '== healthy' || cat log
certificate() { contained mtlsd cert list --json | grep -o 'CN=\\(old\\|new\\)' | head -1; }
echo "== uses $(certificate)"
publish new; rm -r volumes/certificates/..old
for i in $(seq 100); do [ "$(certificate)" = CN=new ] && break; sleep 0.1; done
echo "== uses $(certificate)"
[ ! -d volumes/public/ca ] || echo "== public $(ls volumes/public/ca | xargs)"
contained mtlsd ca show | grep -o 'shared CA' | head -1 | sed 's/^/== /'
kill $daemon; wait $daemon; echo "== stopped $?"
`,
        ),
      );
      expect(lines(output)).toEqual([
        '== healthy',
        '== uses CN=old',
        '== uses CN=new',
        name === 'sidecar' ? '== public bundle.pem ca.pem' : '== shared CA',
        '== stopped 0',
      ]);
    },
  );
});
