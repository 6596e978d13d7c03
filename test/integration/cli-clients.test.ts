import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ago, DAY } from '../support/pki.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import { hasTool } from '../support/tools.ts';

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly message: string;
  readonly next: string | null;
}

describe('clients of the daemon', () => {
  const files = temporaryDirectory();
  /** Of the user, so that nothing of the machine's own settings gets in. */
  const user = temporaryDirectory();
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    scene = await createScene({
      files,
      clients: ['alice', 'bob'],
      client: { notBefore: ago(335 * DAY) },
      store: ({ origin: { port } }) => `version: 1
certificates:
  - { name: alice, host: localhost, port: ${port}, cert: ${files}/alice.crt, key: ${files}/alice.key }
  - { name: bob, host: localhost, port: ${port}, profile: bob, cert: ${files}/bob.crt, key: ${files}/bob.key }
trust: { system: false, ca: [${files}/root.crt] }
`,
    });
    ({ origin, daemon } = scene);
  });
  afterAll(() => scene.close());

  const mtlsd = (...args: string[]) => runMtlsd(['--home', daemon.home, ...args], { HOME: user });
  const seenBy = async (...command: string[]): Promise<Seen> => {
    const result = await mtlsd('run', '--', ...command);
    expect(result.stderr.replace(/^Picked up .*\n/gm, '')).toBe('');
    return JSON.parse(result.stdout) as Seen;
  };

  describe('run gives a program what it reads', () => {
    const python = 'import sys,urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())';
    const requests = 'import sys,requests as r; print(r.get(sys.argv[1]).text)';
    const node = 'fetch(process.argv[1]).then((r) => r.text()).then(console.log)';
    for (const [name, tool, args] of [
      ['curl', 'curl', ['-sS']],
      ['wget', 'wget', ['-qO-']],
      ['Python', 'python3', ['-c', python]],
      ['Node', process.execPath, ['-e', node]],
    ] as const) {
      test.runIf(tool === process.execPath || hasTool(tool))(`to ${name}`, async () => {
        expect(await seenBy(tool, ...args, origin.url)).toMatchObject({ client: 'alice' });
      });
    }
    const hasRequests = hasTool('python3') && runs('python3', ['-c', 'import requests']);
    test.runIf(hasRequests)('to Python requests', async () => {
      expect(await seenBy('python3', '-c', requests, origin.url)).toMatchObject({ client: 'alice' });
    });
    test.runIf(hasTool('git'))('to git', async () => {
      const before = origin.seen.length;
      await mtlsd('run', '--', 'git', 'ls-remote', `${origin.url}/repository`);
      expect(origin.seen[before]).toMatchObject({
        client: 'alice',
        url: '/repository/info/refs?service=git-upload-pack',
      });
    });
    test.runIf(canCompileJava())('to Java', async () => {
      const source = join(files, 'Get.java');
      writeFileSync(
        source,
        'class Get { public static void main(String[] a) throws Exception { System.out.print(new String(new java.net.URL(a[0]).openStream().readAllBytes())); } }',
      );
      expect(await seenBy('java', source, origin.url)).toMatchObject({ client: 'alice' });
    });
    test.runIf(hasTool('keytool'))('to Java, where there is no compiler to try it with', async () => {
      const place = `localhost:${origin.port}`;
      const printed = await mtlsd('run', '--', 'keytool', '-printcert', '-sslserver', place);
      expect(printed.stdout).toContain('mtlsd local CA');
      const store = join(daemon.home, 'clients/java-truststore.p12');
      expect(printed.stdout + printed.stderr).toContain(`-Djavax.net.ssl.trustStore=${store}`);
      const listed = await promisify(execFile)('keytool', ['-list', '-keystore', store, '-storepass', 'changeit']);
      expect(listed.stdout).toMatch(/^mtlsd, .*trustedCertEntry/m);
    });
  });

  test('run passes exit code, profile and hosts to leave out on', async () => {
    expect((await mtlsd('run', '--', 'sh', '-c', 'exit 7')).code).toBe(7);
    expect((await mtlsd('run', '--', 'sh', '-c', 'kill -TERM $$')).code).toBe(143);
    expect(await mtlsd('run', '--', 'no-such-program')).toMatchObject({
      code: 127,
      stderr: expect.stringContaining('no-such-program is not found\nnext: '),
    });
    expect((await mtlsd('run')).code).toBe(2);
    const bob = await mtlsd('run', '--profile', 'bob', '--', 'curl', '-sS', origin.url);
    expect(JSON.parse(bob.stdout)).toMatchObject({ client: 'bob' });
    const direct = await mtlsd('run', '--bypass', 'localhost', '--', 'curl', '-sS', origin.url);
    expect(direct.code).not.toBe(0);
    const none = await runMtlsd(['--home', files, 'run', '--', 'true']);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('no daemon runs')]);
  });

  test('env prints the same for a shell, which works when typed', async () => {
    const script = `eval "$("${process.execPath}" "${new URL('../../bin/mtlsd.js', import.meta.url).pathname}" --home "${daemon.home}" env)" && curl -sS ${origin.url}`;
    const { stdout: seen } = await promisify(execFile)('sh', ['-c', script], { env: { ...process.env, HOME: user } });
    expect(JSON.parse(seen)).toMatchObject({ client: 'alice' });
    const json = JSON.parse((await mtlsd('env', '--json')).stdout) as Record<string, string>;
    expect(json).toMatchObject({
      HTTPS_PROXY: daemon.proxy,
      https_proxy: daemon.proxy,
      NODE_EXTRA_CA_CERTS: daemon.caFile,
      NO_PROXY: '',
    });
    expect((await mtlsd('env', '--shell', 'fish')).stdout).toContain(`set -gx HTTPS_PROXY '${daemon.proxy}'\n`);
    expect((await mtlsd('env', '--shell', 'powershell')).stdout).toContain(`$env:HTTPS_PROXY = '${daemon.proxy}'\n`);
    expect((await mtlsd('env', '--shell', 'tcsh')).code).toBe(2);
  });

  test("a proxy's password goes to programs, and is printed only when asked for", async () => {
    const other = await startDaemon({
      settings: 'auth: { password: { env: PROXY_PASSWORD } }\n',
      env: { PROXY_PASSWORD: 'canary/9' },
    });
    try {
      const env = { PROXY_PASSWORD: 'canary/9', HOME: user };
      const quiet = await runMtlsd(['env', '--home', other.home], env);
      expect(quiet.stdout).not.toContain('canary');
      expect(quiet.stderr).toContain('the proxy requires a password, which is left out');
      expect((await runMtlsd(['env', '--password', '--home', other.home], env)).stdout).toContain(
        'http://mtlsd:canary%2F9@127.0.0.1',
      );
      const through = await runMtlsd(
        [
          '--home',
          other.home,
          'run',
          '--',
          'curl',
          '-sS',
          '-o',
          '/dev/null',
          '-w',
          '%{http_connect}',
          'https://nowhere.invalid/',
        ],
        env,
      );
      expect(through.stdout).toBe('200');
    } finally {
      await other.stop();
    }
  });

  test('ca: path, show, export', async () => {
    expect((await mtlsd('ca', 'path')).stdout).toBe(`${daemon.caFile}\n`);
    expect((await mtlsd('ca', 'path', '--bundle')).stdout).toBe(`${join(daemon.home, 'ca/bundle.pem')}\n`);
    const pem = readFileSync(daemon.caFile, 'utf8');
    const { fingerprint256 } = new X509Certificate(pem);
    expect((await mtlsd('ca', 'show')).stdout).toContain(fingerprint256);
    expect(JSON.parse((await mtlsd('ca', 'show', '--json')).stdout)).toMatchObject({
      fingerprint256,
      path: daemon.caFile,
    });
    expect((await mtlsd('ca', 'export')).stdout).toBe(pem);
    const out = join(files, 'ca.crt');
    expect((await mtlsd('ca', 'export', '--format', 'der', '--out', out)).stdout).toBe(`wrote ${out}\n`);
    expect(new X509Certificate(readFileSync(out)).fingerprint256).toBe(fingerprint256);
    expect(await runMtlsd(['ca', 'path', '--home', files])).toMatchObject({
      code: 1,
      stderr: `mtlsd: there is no local CA in ${files} yet\nnext: mtlsd start makes it\n`,
    });
  });

  test.runIf(hasTool('update-ca-certificates'))(
    "ca install shows what it would do to the system's store, and does nothing unasked",
    async () => {
      const dry = await mtlsd('ca', 'install', '--system', '--dry-run');
      expect(dry).toMatchObject({ code: 0, stderr: '' });
      expect(dry.stdout).toMatch(
        /^the system's store \(\/usr\/local\/share\/ca-certificates\), used by curl, .*:\n {2}(sudo )?install -m 0644 .*\/ca\.pem \/usr\/local\/share\/ca-certificates\/mtlsd-[0-9a-f]{12}\.crt\n {2}(sudo )?.*update-ca-certificates\n$/,
      );
      const unasked = await mtlsd('ca', 'install', '--system');
      expect([unasked.code, unasked.stderr]).toEqual([
        2,
        'mtlsd: there is no terminal to ask on\nnext: add --yes to run these commands, or --dry-run to see them only\n',
      ]);
      expect((await mtlsd('ca', 'uninstall', '--system')).stdout).toMatch(/: not installed\n$/);
    },
  );

  test.runIf(hasTool('certutil'))(
    'ca install puts it into the NSS databases of browsers, uninstall takes it out',
    async () => {
      expect((await mtlsd('ca', 'install', '--nss')).stderr).toContain('there is no NSS database here');
      const folder = join(user, '.pki/nssdb');
      mkdirSync(folder, { recursive: true });
      execFileSync('certutil', ['-N', '-d', `sql:${folder}`, '--empty-password']);
      const listed = () => execFileSync('certutil', ['-L', '-d', `sql:${folder}`], { encoding: 'utf8' });
      const installed = await mtlsd('ca', 'install', '--nss', '--yes');
      expect(installed.code).toBe(0);
      expect(installed.stdout).toMatch(/\n {2}\S*certutil -A .*\n.*: installed\n$/);
      expect(listed()).toMatch(/mtlsd-[0-9a-f]{12} +C,,/);
      expect((await mtlsd('ca', 'install', '--nss', '--yes')).stdout).toContain('installed already');
      expect((await mtlsd('ca', 'show')).stdout).toMatch(/^trusted +the user's NSS database/m);
      expect((await mtlsd('ca', 'uninstall', '--nss', '--yes')).stdout).toMatch(/: removed\n$/);
      expect(listed()).not.toContain('mtlsd-');
    },
  );

  describe('doctor', () => {
    const examine = async (home: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) => {
      const { code, stdout } = await runMtlsd(['doctor', '--json', '--home', home, ...args], { HOME: user, ...env });
      const findings = JSON.parse(stdout) as Finding[];
      return { code, find: (check: string) => findings.filter((finding) => finding.check === check), findings };
    };

    test('finds nothing wrong with a daemon that runs', async () => {
      const { code, find, findings } = await examine(daemon.home, ['--no-clients']);
      expect(findings.filter(({ state }) => state === 'failed')).toEqual([]);
      expect(code).toBe(0);
      for (const check of ['home', 'permissions', 'local CA', 'clock', 'daemon', 'store'])
        expect(find(check)).toMatchObject([{ state: 'ok' }]);
      expect(find('expiry')).toMatchObject([
        {
          state: 'warning',
          next: 'get a new certificate and replace the files, or: mtlsd cert set alice --cert FILE --key FILE',
        },
        { state: 'warning' },
      ]);
    });

    test('a home that others can write to is an error, since the daemon does not start with it', async () => {
      const home = temporaryDirectory();
      for (const [mode, state] of [
        [0o720, 'failed'],
        [0o702, 'failed'],
        [0o750, 'warning'],
      ] as const) {
        chmodSync(home, mode);
        const { code, find } = await examine(home, ['--no-clients']);
        expect(find('home')).toMatchObject([{ state, next: `chmod 700 ${home}` }]);
        if (state === 'failed') expect(code).not.toBe(0);
      }
    });

    test('sends a request with each client on this machine: whether it uses the proxy, and trusts the CA', async () => {
      const outside = await examine(daemon.home);
      // Nothing is set in this shell, which is normal: they are asked as mtlsd run would start them.
      for (const { check, state, message } of outside.findings.filter(({ check }) => check.startsWith('client ')))
        expect([check, state === 'skipped' || (state === 'ok' && message.endsWith('under mtlsd run'))]).toEqual([
          check,
          true,
        ]);
      // A shell with the proxy and without the trust.
      const half = await examine(daemon.home, [], { HTTPS_PROXY: daemon.proxy, http_proxy: daemon.proxy });
      expect(half.find('client curl')).toMatchObject([
        { state: 'warning', message: 'uses the proxy and does not trust the local CA when started from here' },
      ]);
      // One that leaves the name out.
      const none = await examine(daemon.home, [], { HTTPS_PROXY: daemon.proxy, NO_PROXY: '*', no_proxy: '*' });
      expect(none.find('client curl')).toMatchObject([
        { state: 'warning', message: 'does not use the proxy when started from here' },
      ]);
      const { stdout } = await mtlsd(
        'run',
        '--',
        process.execPath,
        new URL('../../bin/mtlsd.js', import.meta.url).pathname,
        'doctor',
        '--json',
        '--home',
        daemon.home,
      );
      const inside = (JSON.parse(stdout) as Finding[]).filter(({ check }) => check.startsWith('client'));
      expect(inside.filter(({ state }) => state !== 'ok' && state !== 'skipped')).toEqual([]);
      expect(inside.find(({ check }) => check === 'client curl')?.state).toBe('ok');
      expect(JSON.stringify(inside)).not.toContain('PRIVATE');
    });

    test('says what is wrong, and how to fix it', async () => {
      const home = temporaryDirectory();
      chmodSync(home, 0o755);
      mkdirSync(join(home, 'ca'), { mode: 0o700 });
      writeFileSync(join(home, 'ca/ca.pem'), 'nonsense');
      writeFileSync(join(home, 'ca/ca.key'), 'nonsense', { mode: 0o644 });
      writeFileSync(join(home, 'run.json'), JSON.stringify({ pid: 2 ** 30, version: '0', proxy: [], admin: '' }));
      writeFileSync(
        join(home, 'certificates.yaml'),
        `version: 1\ncertificates:\n  - { name: gone, host: a.example, cert: gone.pem }\n`,
        { mode: 0o600 },
      );
      const { code, find } = await examine(home, [], { HTTPS_PROXY: 'http://127.0.0.1:1', https_proxy: undefined });
      expect(code).toBe(1);
      expect(find('home')).toMatchObject([{ state: 'warning', next: `chmod 700 ${home}` }]);
      expect(find('permissions')).toMatchObject([{ state: 'failed', next: `chmod 600 ${join(home, 'ca/ca.key')}` }]);
      expect(find('local CA')).toMatchObject([{ state: 'failed' }]);
      expect(find('daemon')).toMatchObject([{ state: 'warning', message: 'it was killed: run.json is still there' }]);
      expect(find('store')).toMatchObject([
        { state: 'failed', message: expect.stringContaining('gone.pem does not exist') },
      ]);
      expect(find('shell')).toMatchObject([
        { state: 'failed', message: 'HTTPS_PROXY leads to 127.0.0.1:1, which is not this daemon' },
      ]);
      const none = await examine(join(home, 'nowhere'));
      expect([none.code, none.find('home')]).toMatchObject([1, [{ state: 'failed' }]]);
    });
  });

  test('completion knows commands, options and the names of certificates', async () => {
    const bash = join(files, 'completion.bash');
    writeFileSync(bash, (await mtlsd('completion', 'bash')).stdout);
    const bin = join(user, 'bin');
    mkdirSync(bin, { recursive: true });
    writeFileSync(
      join(bin, 'mtlsd'),
      `#!/bin/sh\nexec "${process.execPath}" "${new URL('../../bin/mtlsd.js', import.meta.url).pathname}" "$@"\n`,
      { mode: 0o755 },
    );
    const complete = (...words: string[]): string[] =>
      execFileSync(
        'bash',
        [
          '-c',
          `source ${bash}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mtlsd; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          'mtlsd',
          ...words,
        ],
        {
          env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, MTLSD_HOME: daemon.home },
          encoding: 'utf8',
        },
      )
        .split('\n')
        .filter(Boolean);
    expect(complete('st')).toEqual(['start', 'status']);
    expect(complete('cert', 'a')).toEqual(['add']);
    expect(complete('cert', 'show', '')).toEqual(expect.arrayContaining(['--json', 'alice', 'bob']));
    expect(complete('verification', 'set', '--min-version', 'TLSv1.')).toEqual(['TLSv1.1', 'TLSv1.2', 'TLSv1.3']);
    expect(complete('--home', '/tmp', 'ca', 'un')).toEqual(['uninstall']);
    const [zsh, fish] = (await Promise.all([mtlsd('completion', 'zsh'), mtlsd('completion', 'fish')])).map(
      ({ stdout }) => stdout,
    );
    expect(zsh).toMatch(/^#compdef mtlsd\n/);
    expect(fish).toContain("complete -c mtlsd -n '__fish_use_subcommand' -a probe");
    for (const [shell, text] of [
      ['zsh', zsh],
      ['fish', fish],
    ] as const) {
      if (!runs(shell, ['--version'])) continue;
      const file = join(files, `completion.${shell}`);
      writeFileSync(file, text ?? '');
      expect(runs(shell, ['-n', file])).toBe(true);
    }
    expect((await mtlsd('completion', 'tcsh')).code).toBe(2);
  });

  test('what is made for clients lies in the home folder, for this user alone', () => {
    expect(statSync(join(daemon.home, 'clients')).mode & 0o777).toBe(0o700);
    const modes = ['wgetrc']
      .map((file) => join(daemon.home, 'clients', file))
      .filter(existsSync)
      .map((file) => statSync(file).mode & 0o777);
    expect(modes.every((mode) => mode === 0o600)).toBe(true);
  });
});

/** A JRE runs class files and no sources. */
function canCompileJava(): boolean {
  if (!hasTool('java') || !hasTool('keytool')) return false;
  return execFileSync('java', ['--list-modules'], { encoding: 'utf8' }).includes('jdk.compiler');
}

function runs(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
