import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EntryAnswer } from '../../src/admin/schemas/certificate.ts';
import { createScene, type Scene, writePfx } from '../support/scene.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import { hasTool } from '../support/tools.ts';

const CANARY = 'canary pass-phrase 8';

describe('cert and verification', () => {
  const files = temporaryDirectory();
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    scene = await createScene({
      files,
      clients: ['alice', 'bob'],
      client: { freshKey: true },
      demands: false,
      store: () => `version: 1\ntrust: { system: false, ca: [${files}/root.crt] }\n`,
      env: { PARTNER_PASS: CANARY },
    });
    ({ origin, daemon } = scene);
    writePfx(files, 'alice', CANARY);
    writeFileSync(`${files}/pass`, `${CANARY}\n`, { mode: 0o600 });
  });
  afterAll(() => scene.close());

  const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', daemon.home]);
  const client = async (): Promise<string | null> => (await curl(origin.url, through(daemon))).json<Seen>().client;
  const list = async (): Promise<EntryAnswer[]> =>
    JSON.parse((await mtlsd('cert', 'list', '--json')).stdout) as EntryAnswer[];
  const here = () => `localhost:${origin.port}`;

  test('a PFX is added with its passphrase from standard input, used, and shown', async () => {
    expect(await mtlsd('cert', 'list')).toMatchObject({
      code: 0,
      stdout: 'There is no certificate yet. Add one: mtlsd cert add HOST --pfx FILE\n',
    });
    const added = await runMtlsd(
      [
        'cert',
        'add',
        here(),
        '--pfx',
        `${files}/alice.p12`,
        '--name',
        'alice',
        '--passphrase-stdin',
        '--home',
        daemon.home,
      ],
      {},
      `${CANARY}\n`,
    );
    expect(added).toEqual({
      code: 0,
      stderr: '',
      stdout: `added alice for ${here()}\n  CN=alice, issued by CN=test root, expires in 29 days\n`,
    });
    expect(await client()).toBe('alice');
    const shown = await mtlsd('cert', 'show', 'alice');
    expect(shown.stdout).toMatch(
      /^name {8}alice\nfor {9}localhost:\d+\nstate {7}ok\nfiles {7}\/.*alice\.p12\npassphrase {2}from the file files\/[0-9a-f]{32}\.pass\nlast used {3}\d{4}-/,
    );
    expect(shown.stdout).toMatch(/^subject {2}CN=alice$/m);
    const listed = await mtlsd('cert', 'list');
    expect(listed.stdout.split('\n').slice(0, 2)).toEqual([
      expect.stringMatching(/^NAME +HOST +PORT +SUBJECT +EXPIRES +STATE +LAST USED$/),
      expect.stringMatching(/^alice +localhost +\d+ +CN=alice +in 29 days +ok +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    ]);
    expect((await mtlsd('cert', 'list', '-q')).stdout).toBe('alice\n');
    expect(JSON.stringify(daemon.log) + shown.stdout + listed.stdout).not.toContain(CANARY);
  });

  test('is changed, switched off and on, and removed with what was kept for it', async () => {
    await mtlsd('cert', 'disable', 'alice');
    expect(await client()).toBeNull();
    expect((await mtlsd('cert', 'enable', 'alice')).stdout).toMatch(/^enabled alice for /);
    expect(await client()).toBe('alice');
    expect(
      (
        await mtlsd(
          'cert',
          'set',
          'alice',
          '--cert',
          `${files}/bob.crt`,
          '--key',
          `${files}/bob.key`,
          '--no-passphrase',
          '--rename',
          'bob',
        )
      ).code,
    ).toBe(0);
    expect(await client()).toBe('bob');
    expect(
      (
        await mtlsd(
          'cert',
          'set',
          'bob',
          '--host',
          'moved.example:*',
          '--profile',
          'p',
          '--withhold-unverified',
          '--json',
        )
      ).stdout,
    ).toContain('"moved.example"');
    expect(await list()).toMatchObject([
      {
        name: 'bob',
        host: 'moved.example',
        port: '*',
        profile: 'p',
        withhold_unverified: true,
        pfx: null,
        passphrase: null,
      },
    ]);
    await mtlsd(
      'cert',
      'set',
      'bob',
      '--no-profile',
      '--no-withhold-unverified',
      '--cert',
      `${files}/alice.crt`,
      '--key',
      `${files}/alice.key`,
      '--upload',
    );
    expect(await list()).toMatchObject([
      { profile: null, withhold_unverified: false, cert: expect.stringMatching(/^files\//) },
    ]);
    expect(readdirSync(join(daemon.home, 'files'))).toHaveLength(2);
    expect(await mtlsd('cert', 'remove', 'bob')).toMatchObject({ code: 0, stdout: 'removed bob and its files\n' });
    expect(readdirSync(join(daemon.home, 'files'))).toEqual([]);
  });

  test('the passphrase from a variable, a file or a program', async () => {
    for (const source of [
      ['--passphrase-env', 'PARTNER_PASS'],
      ['--passphrase-file', `${files}/pass`],
      ['--passphrase-command', 'cat', `${files}/pass`],
    ]) {
      const added = await mtlsd(
        'cert',
        'add',
        'pass.example',
        '--pfx',
        `${files}/alice.p12`,
        '--name',
        'pass',
        ...source,
      );
      expect(added, source[0]).toMatchObject({ code: 0, stderr: '' });
      await mtlsd('cert', 'remove', 'pass');
    }
  });

  test.runIf(hasTool('script'))('on a terminal it is asked for, and not shown', async () => {
    const command = [
      process.execPath,
      new URL('../../bin/mtlsd.js', import.meta.url).pathname,
      'cert',
      'add',
      'asked.example',
      '--pfx',
      `${files}/alice.p12`,
      '--home',
      daemon.home,
    ];
    const child = spawn('script', ['-qec', command.map((word) => `'${word}'`).join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let output = '';
    let answered = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (!answered && output.includes('Passphrase of')) {
        answered = true;
        child.stdin.write(`${CANARY}\n`);
      }
    });
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(output).toContain('asked.example');
    expect(output).not.toContain(CANARY);
    await mtlsd('cert', 'remove', 'asked.example', '--yes');
  });

  test('errors say what, why and what next', async () => {
    const p12 = `${files}/alice.p12`;
    const cases: [number, string[], RegExp, RegExp][] = [
      [
        1,
        ['cert', 'add', 'a.example', '--pfx', p12],
        /PFX|passphrase/,
        /--passphrase-env, --passphrase-file, --passphrase-command or --passphrase-stdin/,
      ],
      [
        1,
        ['cert', 'add', 'a.example', '--cert', `${files}/alice.crt`, '--key', `${files}/bob.key`],
        /is not the key of CN=alice/,
        /openssl/,
      ],
      [1, ['cert', 'add', 'a.example', '--cert', 'nowhere.pem'], /nowhere\.pem does not exist/, /^check the path/],
      [2, ['cert', 'add', 'a.example'], /no certificate is given/, /--pfx FILE/],
      [
        2,
        ['cert', 'add', 'a b', '--pfx', p12, '--passphrase-file', `${files}/pass`],
        /^mtlsd: invalid host "a b"$/m,
        /^give HOST, HOST:PORT/,
      ],
      [
        2,
        ['cert', 'add', 'a.example', '--pfx', p12, '--passphrase-env', 'A', '--passphrase-stdin'],
        /more than one/,
        /^give one of the --passphrase options$/,
      ],
      [2, ['cert', 'set', 'nobody'], /nothing to change/, /--help/],
      [1, ['cert', 'set', 'nobody', '--profile', 'p'], /no certificate is named nobody/, /mtlsd cert list/],
      [1, ['cert', 'show', 'nobody'], /no certificate is named nobody/, /mtlsd cert list/],
      [1, ['cert', 'remove', 'nobody'], /no certificate is named nobody/, /mtlsd cert list/],
      [2, ['verification', 'set', 'off'], /invalid mode "off"/, /enforce or report/],
      [2, ['verification', 'set', '--host', 'a.example'], /nothing to set/, /^give a mode/],
      [2, ['verification', 'set', 'report', '--allow', 'CERT_HAS_EXPIRED'], /for a host only/, /--host/],
      [
        2,
        ['verification', 'set', '--host', 'a.example', '--pin', 'nonsense'],
        /^mtlsd: invalid: item 1 of pins is "nonsense"; expected "sha256/,
        /--help/,
      ],
      [1, ['verification', 'remove', 'a.example'], /no rule for a\.example:443/, /^mtlsd verification show/],
    ];
    const results = await Promise.all(cases.map(([, args]) => mtlsd(...args)));
    for (const [i, [code, args, message, next]] of cases.entries()) {
      const { code: exit, stdout, stderr = '' } = results[i] ?? {};
      expect([exit, stdout], args.join(' ')).toEqual([code, '']);
      expect(stderr).toMatch(/^mtlsd: [^A-Z]/);
      expect(stderr).toMatch(message);
      expect(/^next: (.+)$/m.exec(stderr)?.[1]).toMatch(next);
    }
    const unknown = await mtlsd('cert', 'list', '--nonsense');
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      "mtlsd: unknown option '--nonsense'\nnext: mtlsd cert list --help\n",
    ]);
    expect(await list()).toEqual([]);
  });

  test('inspect needs no daemon and adds nothing', async () => {
    const good = await runMtlsd(['cert', 'inspect', `${files}/alice.p12`, '--passphrase-file', `${files}/pass`]);
    expect([good.code, good.stdout.split('\n')[0]]).toEqual([0, 'Usable as a client certificate.']);
    expect(good.stdout).toContain('CN=alice');
    const json = await runMtlsd(['cert', 'inspect', `${files}/alice.crt`, '--key', `${files}/bob.key`, '--json']);
    expect([json.code, (JSON.parse(json.stdout) as EntryAnswer).problems[0]?.code]).toEqual([1, 'KEY_MISMATCH']);
    expect((await runMtlsd(['cert', 'inspect'])).code).toBe(2);
    expect((await runMtlsd(['cert', 'inspect', '/nowhere.p12'])).stderr).toContain(
      "/nowhere.p12 can't be read: ENOENT",
    );
  });

  test('verification is turned off for one host, for all, and on again', async () => {
    const status = async () => (await curl(origin.url, through(daemon))).status;
    await mtlsd('verification', 'set', '--host', here(), '--no-system', '--server-name', 'other.example');
    expect(await status()).toBe(502);
    const set = await mtlsd('verification', 'set', 'report', '--host', here());
    expect(set).toMatchObject({
      code: 0,
      stdout: `changed the rule\nfor         localhost, port ${origin.port}\nmode        report\ndiffers in  trusts no CA; server_name other.example\n`,
    });
    expect(await status()).toBe(200);
    expect((await mtlsd('verification', 'show')).stdout).toMatch(
      /^mode enforce: .*\nrevocation when-known: .*\n\nHOST +PORT +MODE +DIFFERS IN\nlocalhost +\d+ +report +trusts no CA; server_name other\.example\n$/,
    );
    expect(JSON.parse((await mtlsd('verification', 'show', here(), '--json')).stdout)).toMatchObject({
      host: 'localhost',
      mode: 'report',
    });
    await mtlsd(
      'verification',
      'set',
      '--host',
      here(),
      '--ca',
      `${files}/root.crt`,
      '--allow',
      'HOSTNAME_MISMATCH',
      'CERT_HAS_EXPIRED',
      '--min-version',
      'TLSv1.3',
    );
    await mtlsd('verification', 'set', 'enforce', '--host', here());
    expect(JSON.parse((await mtlsd('verification', 'show', here(), '--json')).stdout)).toEqual({
      host: 'localhost',
      port: origin.port,
      mode: 'enforce',
      server_name: 'other.example',
      min_version: 'TLSv1.3',
      allow: ['HOSTNAME_MISMATCH', 'CERT_HAS_EXPIRED'],
      trust: { system: true, ca: [`${files}/root.crt`] },
    });
    expect(await status()).toBe(200);
    expect((await mtlsd('verification', 'remove', here())).stdout).toBe(`removed the rule for ${here()}\n`);
    expect((await mtlsd('verification', 'set', 'report')).stdout).toBe('verification is now report\n');
    expect(JSON.parse((await mtlsd('verification', 'show', '--json')).stdout)).toEqual({
      mode: 'report',
      revocation: 'when-known',
      rules: [],
    });
    await mtlsd('verification', 'set', 'enforce');
    expect(daemon.log.filter(({ event }) => event === 'admin').every(({ who }) => who === 'cli')).toBe(true);
  });

  test('without a daemon the files themselves are worked on, comments kept', async () => {
    const home = temporaryDirectory();
    const offline = (...args: string[]) => runMtlsd([...args, '--home', home]);
    writeFileSync(
      join(home, 'certificates.yaml'),
      '# by hand\nversion: 1\ncertificates:\n  # the first\n  - { name: first, host: first.example, cert: gone.pem }\n',
      { mode: 0o600 },
    );
    const added = await offline(
      'cert',
      'add',
      '*.corp.example:8443',
      '--cert',
      `${files}/alice.crt`,
      '--key',
      `${files}/alice.key`,
      '--name',
      'corp',
    );
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout).toContain('; takes effect at the next start');
    expect((await offline('cert', 'list')).stdout).toMatch(
      /^first +first\.example +443 +- +- +unusable: FILE_MISSING/m,
    );
    await offline('cert', 'disable', 'first');
    await offline('verification', 'set', 'report', '--host', '*.corp.example:*');
    expect((await offline('match', 'https://a.corp.example:8443/x')).stdout).toContain(
      'It would present the certificate corp, where the server asks for one: wildcard *.corp.example, port 8443.',
    );
    const text = readFileSync(join(home, 'certificates.yaml'), 'utf8');
    expect(text).toContain('# by hand');
    expect(text).toContain('# the first');
    expect(text).toContain('enabled: false');
    const started = await startDaemon({ home });
    try {
      expect((await runMtlsd(['cert', 'list', '-q', '--home', home])).stdout).toBe('first\ncorp\n');
    } finally {
      await started.stop();
    }
    writeFileSync(join(home, 'certificates.yaml'), 'version: 1\nnonsense: true\n');
    const broken = await offline('cert', 'list');
    expect([broken.code, broken.stderr]).toEqual([
      2,
      expect.stringMatching(/^mtlsd: certificates\.yaml:2:1: .*nonsense/),
    ]);
  });

  test('the passphrase is in no argument, log or answer', () => {
    expect(JSON.stringify(daemon.log)).not.toContain(CANARY);
  });
});
