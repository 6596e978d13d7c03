/** The first line of each of the commonest failures names its cause. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asHomeFault } from '../../src/core/files/system-fault.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { hasTool, isRoot } from '../support/tools.ts';

describe('the first line', () => {
  const files = temporaryDirectory();
  const plain = createServer((_request, response) => response.end('plain'));
  let origin: Origin;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    (await root.issue({ cn: 'alice', eku: ['clientAuth'], key: 'rsa2048' })).write(files, 'alice');
    const server = await root.issue({ cn: 'localhost' });
    origin = await nodeOrigin({ key: server.keyPem, cert: server.chainPem });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    daemon = await startDaemon();
  });
  afterAll(async () => {
    plain.close();
    await Promise.all([daemon.stop(), origin.close()]);
  });

  const first = ({ body }: { body: string }): string => body.split('\n')[0] ?? '';
  const add = async (...args: string[]) =>
    (await runMtlsd(['cert', 'add', 'a.example', '--home', daemon.home, ...args])).stderr.split('\n')[0];

  test('https to a plain port, http to a TLS port, a host that is misspelt', async () => {
    const { port } = plain.address() as AddressInfo;
    const https = await curl(`https://127.0.0.1:${port}/`, through(daemon));
    expect(first(https)).toBe(`mtlsd: 127.0.0.1:${port} does not speak TLS on this port`);
    expect(https.body).toContain(`use http://127.0.0.1:${port}/`);
    const http = await curl(`http://localhost:${origin.port}/`, ['--proxy', daemon.proxy]);
    expect(first(http)).toMatch(/without an answer to plain HTTP; this port may expect TLS$/);
    expect(http.body).toContain(`use https://localhost:${origin.port}/`);
    const typo = await curl('https://api.partner.invalid/', through(daemon));
    expect(first(typo)).toMatch(/^mtlsd: the name of api\.partner\.invalid:443 does not resolve/);
  });

  test.runIf(hasTool('ssh-keygen'))('a wrong passphrase, an OpenSSH key, a file that is not there', async () => {
    const at = (name: string) => join(files, name);
    writeFileSync(at('wrong'), 'wrong\n', { mode: 0o600 });
    execFileSync('openssl', [
      'pkcs8',
      '-topk8',
      '-in',
      at('alice.key'),
      '-out',
      at('locked.key'),
      '-passout',
      'pass:right',
    ]);
    copyFileSync(at('alice.key'), at('ssh.key'));
    execFileSync('ssh-keygen', ['-p', '-f', at('ssh.key'), '-N', '']);
    expect(await add('--cert', at('alice.crt'), '--key', at('locked.key'), '--passphrase-file', at('wrong'))).toBe(
      `mtlsd: the passphrase does not open the key in ${at('locked.key')}`,
    );
    expect(await add('--cert', at('alice.crt'), '--key', at('ssh.key'))).toBe(
      `mtlsd: ${at('ssh.key')} is an OpenSSH private key, a format that TLS does not use`,
    );
    expect(await add('--pfx', at('none.p12'))).toBe(`mtlsd: ${at('none.p12')} does not exist`);
  });

  test("a home that can't be used", async () => {
    const file = join(files, 'a-file');
    writeFileSync(file, '');
    for (const args of [['start'], ['cert', 'list']]) {
      const { stderr, code } = await runMtlsd([...args, '--home', join(file, 'home')]);
      expect(stderr).toMatch(/^mtlsd: .*: something that is not a folder is in its way\nnext: name another home/);
      expect(code).not.toBe(0);
    }
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    expect(asHomeFault(full, files)).toMatchObject({
      message: `no space left on the disk of ${files}`,
      hint: `free some space: df -h ${files}`,
    });
    const denied = Object.assign(new Error('EACCES'), { code: 'EACCES', syscall: 'mkdir', path: '/root/x' });
    expect(asHomeFault(denied, '/root/x')).toMatchObject({ message: "/root/x can't be made: permission denied" });
    const other = new Error('what');
    expect(asHomeFault(other, '/')).toBe(other);
  });

  /** In a mount namespace of its own, so that nothing is left mounted. */
  test.runIf(process.platform === 'linux' && isRoot())('a full disk: cert add, start and the log', () => {
    const disk = join(files, 'disk');
    mkdirSync(disk);
    const run = (commands: string): string =>
      execFileSync(
        'unshare',
        ['--mount', 'bash', '-c', `mount -t tmpfs -o size=400k none ${disk} && mkdir -m 700 ${disk}/home\n${commands}`],
        { encoding: 'utf8', env: { ...process.env, MTLSD_HOME: `${disk}/home` } },
      );
    const mtlsd = `${process.execPath} ${new URL('../../bin/mtlsd.js', import.meta.url).pathname}`;
    const fill = `dd if=/dev/zero of=${disk}/fill bs=1k 2>/dev/null`;
    const pair = `--cert ${join(files, 'alice.crt')} --key ${join(files, 'alice.key')}`;
    const full = /^mtlsd: no space left on the disk of (\S.*)\nnext: (.*)\n/;

    for (const upload of ['', ' --upload']) {
      const said = run(`${mtlsd} cert add a.example ${pair} >/dev/null; ${fill}
        hint=$(${mtlsd} cert add b.example ${pair}${upload} 2>&1 >/dev/null); printf '%s\\n' "$hint"
        case "$hint" in *"df -h"*) \${hint##*free some space: } >/dev/null || echo "the hint fails";; esac
        ${mtlsd} cert list --quiet`);
      const [, what, next] = full.exec(said) ?? [];
      expect(what).toMatch(upload === '' ? /certificates\.yaml/ : /the home folder/);
      expect(next).toMatch(/^free some space/);
      expect(said).not.toContain('the hint fails');
      expect(said.trim().split('\n').at(-1)).toBe('a.example');
    }
    expect(run(`${fill}; ${mtlsd} start --listen 127.0.0.1:0 --admin 127.0.0.1:0 2>&1 >/dev/null; true`)).toMatch(full);
    const home = join(files, 'roomy');
    mkdirSync(home, { mode: 0o700 });
    const log = run(`${fill}
      MTLSD_HOME=${home} ${mtlsd} start --listen 127.0.0.1:0 --admin 127.0.0.1:0 >> ${disk}/log 2> ${home}/stderr &
      until ${mtlsd} health --home ${home} >/dev/null 2>&1; do kill -0 $! || exit 1; done
      kill $!; wait $!; echo "exit $?"; cat ${home}/stderr`);
    expect(log).toMatch(/^exit 0\nmtlsd: no space left on the disk of the log\nnext: make its output writable/);
  });
});
