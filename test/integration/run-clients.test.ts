/** What `mtlsd run` does for programs whose own settings beat the variables, and for the ways it is typed. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

describe('mtlsd run', () => {
  const files = temporaryDirectory();
  const user = temporaryDirectory();
  let origin: Origin;
  let daemon: RunningDaemon;
  let tarball = Buffer.alloc(0);

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    (await pki.root({ cn: 'the company' })).write(files, 'company');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    const server = await root.issue({ cn: 'registry.example', sans: ['registry.example'] });
    mkdirSync(join(files, 'package'));
    writeFileSync(join(files, 'package/package.json'), '{"name":"left","version":"1.0.0"}');
    execFileSync('tar', ['-czf', 'left.tgz', 'package'], { cwd: files });
    tarball = readFileSync(join(files, 'left.tgz'));
    origin = await nodeOrigin(
      { key: server.keyPem, cert: server.chainPem, ca: root.certPem, requestCert: true, rejectUnauthorized: true },
      (request, response, seen) => {
        if (request.url === '/left/-/left-1.0.0.tgz') response.end(tarball);
        else response.end(JSON.stringify(seen));
      },
    );
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: alice, host: registry.example, cert: ${files}/alice.crt, key: ${files}/alice.key }
trust: { system: false, ca: [${files}/root.crt] }
`,
      settings: `connect_to: { "registry.example:443": "127.0.0.1:${origin.port}" }\n`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  const inside = (folder: string, ...args: string[]) =>
    runMtlsd(['--home', daemon.home, 'run', ...args], { HOME: user, ...(folder && { PWD: folder }) });

  test.runIf(hasTool('npm'))(
    'a real npm ci, with a cafile of the company in the npmrc',
    { timeout: 60_000 },
    async () => {
      const project = temporaryDirectory();
      writeFileSync(
        join(user, '.npmrc'),
        `cafile=${files}/company.crt\nregistry=https://registry.example/\naudit=false\n`,
      );
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
      const dependencies = { left: '1.0.0' };
      writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'p', version: '1.0.0', dependencies }));
      writeFileSync(
        join(project, 'package-lock.json'),
        JSON.stringify({
          name: 'p',
          version: '1.0.0',
          lockfileVersion: 3,
          packages: {
            '': { name: 'p', version: '1.0.0', dependencies },
            'node_modules/left': {
              version: '1.0.0',
              resolved: 'https://registry.example/left/-/left-1.0.0.tgz',
              integrity,
            },
          },
        }),
      );
      const before = origin.seen.length;
      const result = await inside('', '--', 'npm', '--prefix', project, '--fetch-retries=0', 'ci');
      expect(result.stdout + result.stderr).toContain('added 1 package');
      expect(result.code).toBe(0);
      expect(JSON.parse(readFileSync(join(project, 'node_modules/left/package.json'), 'utf8'))).toMatchObject({
        name: 'left',
      });
      expect(origin.seen.slice(before)).toContainEqual(
        expect.objectContaining({ client: 'alice', url: '/left/-/left-1.0.0.tgz' }),
      );
    },
  );

  test('settings of curl, wget and git that name another proxy or CA', async () => {
    writeFileSync(join(user, '.curlrc'), `proxy = "http://127.0.0.1:1"\ncacert=${files}/company.crt\n-A mine\n`);
    writeFileSync(join(user, '.wgetrc'), `https_proxy = http://127.0.0.1:1\nuser_agent = mine\n`);
    execFileSync('git', ['config', '--global', 'http.proxy', 'http://127.0.0.1:1'], {
      env: { ...process.env, HOME: user },
    });
    const agent = (text: string): unknown => (JSON.parse(text) as Seen & { fields: string[] }).client;
    const curl = await inside('', 'curl', '-sS', 'https://registry.example/');
    expect(agent(curl.stdout)).toBe('alice');
    expect(readFileSync(join(daemon.home, 'clients/.curlrc'), 'utf8').trim()).toBe('-A mine');
    if (hasTool('wget'))
      expect(agent((await inside('', 'wget', '-qO-', 'https://registry.example/')).stdout)).toBe('alice');
    const before = origin.seen.length;
    await inside('', 'git', 'ls-remote', 'https://registry.example/r');
    expect(origin.seen[before]).toMatchObject({ client: 'alice', url: '/r/info/refs?service=git-upload-pack' });
  });

  test('doctor names the settings that nothing beats', async () => {
    mkdirSync(join(user, '.gradle'), { recursive: true });
    writeFileSync(join(user, '.gradle/gradle.properties'), 'systemProp.https.proxyHost=old.example\n');
    execFileSync('git', ['config', '--global', 'http.https://git.example/.proxy', 'http://127.0.0.1:1'], {
      env: { ...process.env, HOME: user },
    });
    const { stdout } = await runMtlsd(['doctor', '--home', daemon.home], { HOME: user });
    expect(stdout).toMatch(
      /warning +settings of clients: .*gradle\.properties names a proxy or a CA, which Gradle uses/,
    );
    expect(stdout).toMatch(/warning +settings of clients: git has http\.https:\/\/git\.example\/\.proxy/);
    expect(stdout).not.toMatch(/^skipped/m);
  });

  test('needs no -- before a program, and its options are its own', async () => {
    const home = ['--home', daemon.home];
    expect((await runMtlsd(['run', ...home, 'sh', '-c', 'echo $0 $1', '--home', 'x'])).stdout).toBe('--home x\n');
    expect((await runMtlsd(['run', '--profile', 'bob', ...home, 'printenv', 'HTTPS_PROXY'])).stdout).toContain(
      '//bob@',
    );
    expect((await runMtlsd(['run', ...home, '--profile=bob', 'printenv', 'HTTPS_PROXY'])).stdout).toContain('//bob@');
    expect((await runMtlsd(['run', ...home])).code).toBe(2);
  });

  test('--start runs a daemon for the life of the command', async () => {
    const home = temporaryDirectory();
    const result = await runMtlsd(['run', '--home', home, '--start', 'curl', '-sS', 'https://mtlsd.test/']);
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('this answer comes from mtlsd') });
    expect((await runMtlsd(['status', '--home', home])).code).toBe(1);
    writeFileSync(join(home, 'certificates.yaml'), 'version: 7\n');
    expect(await runMtlsd(['run', '--home', home, '--start', 'true'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^mtlsd: the daemon does not start: .*version/),
    });
  });

  test('a warning is printed for a program on a Node that ignores the variables', async () => {
    const bin = temporaryDirectory();
    writeFileSync(join(bin, 'node'), '#!/bin/sh\necho v20.11.1\n', { mode: 0o755 });
    writeFileSync(join(bin, 'tool'), '#!/usr/bin/env node\n', { mode: 0o755 });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    for (const program of ['node', 'tool'])
      expect((await runMtlsd(['run', '--home', daemon.home, program], env)).stderr).toMatch(
        new RegExp(`^mtlsd: ${program} runs on Node v20\\.11\\.1, whose fetch and http do not use the proxy\nnext: `),
      );
    expect((await runMtlsd(['run', '--home', daemon.home, process.execPath, '-e', '0'])).stderr).toBe('');
  });
});
