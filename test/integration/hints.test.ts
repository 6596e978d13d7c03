/** Each next step that is printed is typed, and fixes what it says it fixes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, type CurlResult, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, createPki, DAY } from '../support/pki.ts';

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

describe('the hints of refusals, typed', () => {
  const desk = temporaryDirectory();
  const origins: Origin[] = [];
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const pki = await createPki();
    const known = await pki.root({ cn: 'known root' });
    known.write(desk, 'known');
    const other = await pki.root({ cn: 'other root' });
    const below = await other.intermediate({ cn: 'other intermediate' });
    (await known.issue({ cn: 'alice', eku: ['clientAuth'] })).write(desk, 'alice');
    const old = { notBefore: ago(30 * DAY), notAfter: ago(2 * DAY) };
    const servers = {
      'alone.example': await pki.selfSigned({ cn: 'alone.example', sans: ['alone.example'] }),
      'chain.example': await below.issue({ cn: 'chain.example', sans: ['chain.example'] }),
      'leaf.example': await other.issue({ cn: 'leaf.example', sans: ['leaf.example'] }),
      'three.example': await pki.selfSigned({ cn: 'else', sans: ['else.example'], ...old }),
      'api.broad.example': await below.issue({ cn: 'api', sans: ['api.broad.example'], ...old }),
      'name.example': await known.issue({ cn: 'n', sans: ['real.example'] }),
      'mtls.example': await known.issue({ cn: 'm', sans: ['mtls.example'] }),
    };
    const connectTo: string[] = [];
    for (const [name, { keyPem, chainPem }] of Object.entries(servers)) {
      const wants = name === 'mtls.example' && { ca: known.certPem, requestCert: true, rejectUnauthorized: true };
      const origin = await nodeOrigin({ key: keyPem, cert: chainPem, ...wants });
      origins.push(origin);
      connectTo.push(`  "${name}:443": "127.0.0.1:${origin.port}"\n`);
    }
    other.write(desk, 'other');
    const issuing = await known.intermediate({ cn: 'Corp Issuing CA' });
    const { certPem, keyPem } = await issuing.issue({ cn: 'bob', eku: ['clientAuth'] });
    writeFileSync(join(desk, 'bob.crt'), certPem);
    writeFileSync(join(desk, 'bob.key'), keyPem, { mode: 0o600 });
    writeFileSync(join(desk, 'intermediate.pem'), issuing.certPem);
    daemon = await startDaemon({
      store: `version: 1
trust: { system: false, ca: [${desk}/known.crt] }
verification:
  rules:
    - { host: "*.broad.example", trust: { system: false, ca: [${desk}/other.crt] } }
`,
      settings: `connect_to:\n${connectTo.join('')}`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...origins.map((origin) => origin.close())]);
  });

  const get = (host: string): Promise<CurlResult> => curl(`https://${host}/`, through(daemon));
  const next = ({ body }: CurlResult): string => /^next: +(.*)$/m.exec(body)?.[1] ?? '';
  const store = (): string => readFileSync(join(daemon.home, 'certificates.yaml'), 'utf8');
  const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', daemon.home]);
  const verdict = async () =>
    (
      (await (await daemon.api('/api/v1/exchanges?limit=1')).json()) as {
        exchanges: { authorized: boolean; allowed: string[]; connection: string; exchange: string }[];
      }
    ).exchanges[0];

  /** One command of a hint, as a shell takes it. */
  async function type(command: string): Promise<{ code: number | null; output: string }> {
    const child = spawn('bash', ['-c', `mtlsd() { "${process.execPath}" "${BIN}" "$@"; }; ${command}`], {
      cwd: desk,
      env: { ...process.env, MTLSD_HOME: daemon.home },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
  }
  /** The first command of a hint, or the one after these words. */
  function commandIn(hint: string, after = ''): string {
    const text = hint.slice(hint.indexOf(after) + after.length);
    return /mtlsd [^;]*/.exec(text)?.[0] ?? '';
  }

  test.each(['alone.example', 'chain.example'])('an unknown CA is trusted first: %s', async (host) => {
    const before = store();
    const hint = next(await get(host));
    expect(hint).toMatch(/^if you expect this .*, trust it: mtlsd probe .*; to let it through: mtlsd verification set/);
    const typed = await type(commandIn(hint));
    expect(typed).toMatchObject({ code: 0, output: expect.stringMatching(/SHA-256 +[0-9A-F:]{95}[^]*trusted for /) });
    expect((await get(host)).status).toBe(200);
    expect(await verdict()).toMatchObject({ authorized: true, allowed: [] });
    // And it goes again, without a trace in the file.
    const [, file] = /--save-ca (\S+)/.exec(hint) ?? [];
    const { fingerprint256 } = new (await import('node:crypto')).X509Certificate(readFileSync(join(desk, file ?? '')));
    expect(await mtlsd('trust', 'remove', fingerprint256)).toMatchObject({ code: 0 });
    expect(store()).toBe(before);
    expect((await get(host)).status).toBe(502);
  });

  test('a CA that the server does not send can only be had from its operator', async () => {
    const hint = next(await get('leaf.example'));
    expect(hint).toMatch(
      /^get the certificate of its issuer from the server's operator, and trust it: mtlsd trust add/,
    );
    const saved = await type('mtlsd probe https://leaf.example/ --save-ca leaf.pem');
    expect(saved).toMatchObject({ code: 1, output: expect.stringContaining('CN=other root') });
    expect(await type(commandIn(hint).replace('FILE', 'other.crt'))).toMatchObject({ code: 0 });
    expect((await get('leaf.example')).status).toBe(200);
  });

  test('one command allows all problems at once, and verified is not what they read', async () => {
    const refused = await get('three.example');
    const hint = next(refused);
    expect(hint).toContain('; to let all 3 problems through: mtlsd verification set --host three.example --allow ');
    expect(await type(commandIn(hint, 'to let all 3 problems through: '))).toMatchObject({ code: 0 });
    expect((await get('three.example')).status).toBe(200);
    const record = await verdict();
    expect(record?.authorized).toBe(false);
    expect(record?.allowed.toSorted()).toEqual([
      'CERT_HAS_EXPIRED',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'HOSTNAME_MISMATCH',
    ]);
    expect((await mtlsd('tail', '--no-follow', '-n', '1')).stdout).toContain(
      'not verified: 3 problems allowed by a rule',
    );
    expect((await mtlsd('show', record?.connection ?? '')).stdout).toContain(
      'not verified: 3 problems allowed by the rule for three.example:443',
    );
    expect(await (await daemon.api('/metrics')).text()).toMatch(/^mtlsd_exchanges_unverified_total [1-9]/m);
    expect((await mtlsd('probe', 'https://three.example/', '--no-ciphers')).stdout).toContain(
      'not verified: 3 problems allowed',
    );
  });

  test('allow adds, and allow-only sets', async () => {
    const rule = async () =>
      ((await (await daemon.api('/api/v1/verification/rules/three.example/443')).json()) as { allow: string[] }).allow;
    const before = await rule();
    await mtlsd('verification', 'set', '--host', 'three.example', '--allow', 'CERT_REVOKED');
    expect(await rule()).toEqual([...before, 'CERT_REVOKED']);
    await mtlsd('verification', 'set', '--host', 'three.example', '--allow-only', 'CERT_HAS_EXPIRED');
    expect(await rule()).toEqual(['CERT_HAS_EXPIRED']);
    // What is still to be allowed is named, and added to what is.
    const hint = next(await get('three.example'));
    expect(hint).toContain('to let all 2 problems through');
    expect(await type(commandIn(hint, 'through: '))).toMatchObject({ code: 0 });
    expect((await get('three.example')).status).toBe(200);
  });

  test('a rule of a host starts from the broader one that it replaces', async () => {
    const hint = next(await get('api.broad.example'));
    expect(hint).toMatch(/^its owner must renew it; to let it through: /);
    expect(await type(commandIn(hint))).toMatchObject({
      code: 0,
      output: expect.stringContaining('starting from the one for *.broad.example'),
    });
    expect((await get('api.broad.example')).status).toBe(200);
  });

  test('a wrong name', async () => {
    const hint = next(await get('name.example'));
    expect(await type(commandIn(hint))).toMatchObject({ code: 0 });
    expect((await get('name.example')).status).toBe(200);
    expect(await verdict()).toMatchObject({ authorized: true });
  });

  test('a certificate that is required', async () => {
    const hint = next(await get('mtls.example'));
    const command = commandIn(hint).replace('--cert FILE', '--cert alice.crt').replace('--key FILE', '--key alice.key');
    expect(await type(command)).toMatchObject({ code: 0 });
    expect((await get('mtls.example')).status).toBe(200);
  });

  test('a certificate whose intermediate is in no file', async () => {
    await mtlsd('cert', 'remove', 'mtls.example', '--yes');
    const added = await mtlsd(
      'cert',
      'add',
      '--host',
      'mtls.example',
      '--cert',
      join(desk, 'bob.crt'),
      '--key',
      join(desk, 'bob.key'),
    );
    expect(added.stdout).toContain('INTERMEDIATE_MISSING: the certificate of CN=Corp Issuing CA is missing');
    const refused = await get('mtls.example');
    expect(refused.body).toContain('CLIENT_CERTIFICATE_REFUSED');
    expect(next(refused)).toContain('issued by CN=Corp Issuing CA: if that is an intermediate CA, add its certificate');
    expect((await mtlsd('probe', 'https://mtls.example/', '--no-ciphers')).stdout).toContain(
      'ends with a certificate issued by CN=Corp Issuing CA, which is none of these CAs',
    );
    const command = /next: unless the server has it, append it to the file: (.*)/.exec(added.stdout)?.[1] ?? '';
    expect(await type(command)).toMatchObject({ code: 0 });
    await daemon.api('/api/v1/reload', { method: 'POST' });
    expect((await get('mtls.example')).status).toBe(200);
  });

  test('the API says the same with its routes', async () => {
    await mtlsd('verification', 'remove', '--host', 'three.example');
    await get('three.example');
    const record = await verdict();
    const { error } = (await (await daemon.api(`/api/v1/exchanges/${record?.exchange}`)).json()) as {
      error: { hint: string };
    };
    expect(error.hint).toMatch(
      /POST \/api\/v1\/trust\/anchors .*PUT \/api\/v1\/verification\/rules\/three\.example\/443/,
    );
    expect(error.hint).not.toContain('mtlsd ');
  });
});

describe('trust', () => {
  const home = temporaryDirectory();
  const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', home]);

  test('lists, adds and removes without a daemon, and refuses what is no CA', async () => {
    const pki = await createPki();
    const root = await pki.root({ cn: 'Corp Root' });
    root.write(home, 'corp');
    (await root.issue({ cn: 'leaf' })).write(home, 'leaf');
    expect((await mtlsd('trust', 'list')).stdout).toContain('No other CA is trusted.');
    expect(await mtlsd('trust', 'add', join(home, 'leaf.crt'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('CN=leaf is not a CA certificate'),
    });
    for (const host of [[], ['--host', '*.corp.example:*']])
      expect(await mtlsd('trust', 'add', join(home, 'corp.crt'), ...host)).toMatchObject({ code: 0 });
    // Twice is once.
    await mtlsd('trust', 'add', join(home, 'corp.crt'), '--yes');
    expect(readFileSync(join(home, 'certificates.yaml'), 'utf8')).not.toMatch(/^[^#]*crl:/m);
    const { stdout } = await mtlsd('trust', 'list');
    expect(stdout.match(/CN=Corp Root/g)).toHaveLength(2);
    expect(stdout).toContain('every host');
    expect(stdout).toContain('*.corp.example:*');
    const listed = JSON.parse((await mtlsd('trust', 'list', '--json')).stdout) as { anchors: { file: string }[] };
    for (const { file } of listed.anchors)
      expect(await mtlsd('trust', 'remove', file)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^removed CN=Corp Root for /),
      });
    expect((await mtlsd('trust', 'list')).stdout).toContain('No other CA is trusted.');
    expect(await mtlsd('trust', 'remove', 'nobody')).toMatchObject({ code: 1 });
  });
});
