/**
 * Each next step that is printed is typed, and does what it says. The last test reads the commands that src/ prints in hints
 * out of the source: one without a case here fails it.
 */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiHint } from '../../src/admin/hints.ts';
import { RENEWAL_FAULTS } from '../../src/certs/renewal/fault.ts';
import { commandTree } from '../../src/cli/command-tree.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { ERROR_CODES, hintAt, MtlsdError } from '../../src/core/errors.ts';
import { ALERTS } from '../../src/inspect/verify/alerts.ts';
import { PROBLEM_CODES, problemHint } from '../../src/inspect/verify/problems.ts';
import { curl, type CurlResult, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, ahead, createPki, DAY, type Pki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

/** What the tests below have typed, as `cert add --cert --key`. */
const typed = new Set<string>();

/** The commands in a text, each with its options and without their values. */
const nodes = await commandTree(COMMANDS);
function commandsOf(text: string): string[] {
  return [...text.matchAll(/\bmtlsd ([a-z]+)(?: ([a-z]+))?([^\n;,|&)`'"]*)/g)].flatMap(
    ([, first = '', second, rest = '']) => {
      const top = nodes.find(({ path }) => path.length === 1 && path[0] === first);
      if (!top) return [];
      const path = second !== undefined && top.subcommands.includes(second) ? [first, second] : [first];
      return [[...path, ...(rest.match(/--[a-z-]+/g) ?? [])].join(' ')];
    },
  );
}

describe('the hints of refusals, typed', () => {
  const desk = temporaryDirectory();
  const origins: Origin[] = [];
  let daemon: RunningDaemon;
  let pki: Pki;

  beforeAll(async () => {
    pki = await createPki();
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
      'plain.example': await known.issue({ cn: 'p', sans: ['plain.example'] }),
      'pinned.example': await known.issue({ cn: 'q', sans: ['pinned.example'] }),
      'old-tls.example': await known.issue({ cn: 'o', sans: ['old-tls.example'] }),
    };
    (await known.issue({ cn: 'expired', eku: ['clientAuth'], ...old })).write(desk, 'expired');
    const ending = { notBefore: ago(29 * DAY), notAfter: ahead(DAY) };
    (await known.issue({ cn: 'renewing', eku: ['clientAuth'], ...ending })).write(desk, 'renewing');
    (await known.issue({ cn: 'renewing', eku: ['clientAuth'] })).write(desk, 'renewed');
    (await known.issue({ cn: 'unreachable', eku: ['clientAuth'], ...ending })).write(desk, 'unreachable');
    writeFileSync(join(desk, 'renew.sh'), `#!/bin/sh\ncat ${desk}/ca-is-up ${desk}/renewed.crt ${desk}/renewed.key\n`, {
      mode: 0o755,
    });
    mkdirSync(join(desk, 'bin'));
    // What a browser would be opened with, on a machine that has one.
    writeFileSync(join(desk, 'bin/xdg-open'), '#!/bin/sh\n', { mode: 0o755 });
    const connectTo: string[] = [];
    for (const [name, { keyPem, chainPem }] of Object.entries(servers)) {
      const wants = name === 'mtls.example' && { ca: known.certPem, requestCert: true, rejectUnauthorized: true };
      const tls12 = name === 'old-tls.example' && { maxVersion: 'TLSv1.2' as const };
      const origin = await nodeOrigin({ key: keyPem, cert: chainPem, ...wants, ...tls12 });
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
certificates:
  - { name: off, host: plain.example, cert: ${desk}/alice.crt, key: ${desk}/alice.key, enabled: false }
  - { name: broken, host: pinned.example, port: 8443, cert: ${desk}/missing.crt }
  - { name: expired, host: expired.example, cert: ${desk}/expired.crt, key: ${desk}/expired.key }
  - name: renewing
    host: renewing.example
    cert: ${desk}/renewing.crt
    key: ${desk}/renewing.key
    renew: { command: [${desk}/renew.sh] }
  - name: unreachable
    host: renewing.example
    port: 8443
    cert: ${desk}/unreachable.crt
    key: ${desk}/unreachable.key
    renew: { est: "https://127.0.0.1:1/.well-known/est" }
trust: { system: false, ca: [${desk}/known.crt] }
verification:
  rules:
    - { host: "*.broad.example", trust: { system: false, ca: [${desk}/other.crt] } }
    - { host: pinned.example, pins: ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] }
    - { host: old-tls.example, mode: report, min_version: TLSv1.3 }
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
    for (const each of commandsOf(command)) typed.add(each);
    const child = spawn('bash', ['-c', `mtlsd() { "${process.execPath}" "${BIN}" "$@"; }; ${command}`], {
      cwd: desk,
      env: {
        ...process.env,
        MTLSD_HOME: daemon.home,
        PATH: `${desk}/bin:${process.env.PATH}`,
        HOME: desk,
        NO_COLOR: '1',
      },
    });
    child.stdin.end();
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
    const { fingerprint256 } = new X509Certificate(readFileSync(join(desk, file ?? '')));
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

  test('a certificate that is disabled, and a name that is not there', async () => {
    const wish = (name: string) =>
      curl('https://plain.example/', [...through(daemon), '--header', `Mtlsd-Certificate: ${name}`]);
    expect(await type(commandIn(next(await wish('nobody'))).replace(' shows the names', ''))).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^off +plain\.example/m),
    });
    expect(await type(commandIn(next(await wish('off'))))).toMatchObject({ code: 0 });
    expect((await wish('off')).status).toBe(200);
  });

  test('a PFX that is given as a certificate', async () => {
    await type(`openssl pkcs12 -export -in alice.crt -inkey alice.key -out alice.p12 -passout pass:`);
    const { output } = await type('mtlsd cert add pfx.example --cert alice.p12');
    const hint = /^next: (use it as a PFX.*)$/m.exec(output)?.[1] ?? '';
    expect(await type(commandIn(hint).replace('HOST', 'pfx.example'))).toMatchObject({
      code: 0,
      output: expect.stringContaining('added pfx.example'),
    });
  });

  test('an entry that can not be loaded', async () => {
    const { output } = await type('mtlsd probe https://pinned.example:8443/ --no-ciphers; mtlsd doctor --no-clients');
    expect(output).toContain('missing.crt');
    expect(await type('mtlsd cert show broken')).toMatchObject({ output: expect.stringContaining('FILE_MISSING') });
  });

  test('a certificate that has expired', async () => {
    const { output } = await type('mtlsd doctor --no-clients');
    const hint = /mtlsd cert set expired --cert FILE --key FILE/.exec(output)?.[0] ?? '';
    expect(
      await type(hint.replace('--cert FILE', '--cert bob.crt').replace('--key FILE', '--key bob.key')),
    ).toMatchObject({
      code: 0,
    });
    expect((await type('mtlsd doctor --no-clients')).output).not.toContain('mtlsd cert set expired');
  });

  test('a renewal that fails, and one that is due', async () => {
    for (const name of ['renewing', 'unreachable'])
      expect(await mtlsd('cert', 'renew', name)).toMatchObject({ code: 1 });
    const { output } = await type('mtlsd doctor --no-clients');
    expect(output).toContain('renewing could not be renewed');
    const [rehearsal = ''] = /mtlsd cert renew unreachable --dry-run/.exec(output) ?? [];
    expect(await type(rehearsal)).toMatchObject({ code: 1, output: expect.stringContaining('127.0.0.1:1') });
    writeFileSync(join(desk, 'ca-is-up'), '');
    const [now = ''] = /mtlsd cert renew renewing$/m.exec(output) ?? [];
    expect(await type(now)).toMatchObject({ code: 0 });
    expect((await type('mtlsd doctor --no-clients')).output).not.toContain('mtlsd cert renew renewing');
  });

  test('nothing to change', async () => {
    const { output } = await type('mtlsd cert set off');
    expect(output).toContain('mtlsd cert set --help');
    expect(await type('mtlsd cert set --help')).toMatchObject({ code: 0, output: expect.stringContaining('--rename') });
  });

  test('a pin that does not match', async () => {
    const hint = next(await get('pinned.example'));
    const { output } = await type('mtlsd probe https://pinned.example/ --no-ciphers --json');
    const [, spki] = /"spki256": ?"([^"]+)"/.exec(output) ?? [];
    expect(await type(commandIn(hint).replace('PIN', `sha256/${spki}`))).toMatchObject({ code: 0 });
    expect((await get('pinned.example')).status).toBe(200);
    expect(await verdict()).toMatchObject({ authorized: true });
  });

  test('an older TLS version than the rule requires', async () => {
    expect((await get('old-tls.example')).status).toBe(200);
    const { output } = await type(`mtlsd show ${(await verdict())?.connection}`);
    const hint = /^ *next: (.*TLSv1.*)$/m.exec(output)?.[1] ?? '';
    expect(await type(commandIn(hint))).toMatchObject({ code: 0 });
    expect((await get('old-tls.example')).status).toBe(200);
    expect(await verdict()).toMatchObject({ authorized: true });
  });

  test('what a page may not ask for is set in the store', async () => {
    const hint = next(
      await curl('https://three.example/', [
        ...through(daemon),
        '--header',
        'Sec-Fetch-Site: same-origin',
        '--header',
        'Mtlsd-Verification: report',
      ]),
    );
    expect(await type(commandIn(hint, ', or '))).toMatchObject({ code: 0 });
    expect((await get('three.example')).status).toBe(200);
    await mtlsd('verification', 'remove', 'three.example');
  });

  test('a host that the policy refuses', async () => {
    const set = (unmatched: string) =>
      daemon.api('/api/v1/interception', {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ mode: 'all', passthrough: [], unmatched }),
      });
    expect((await set('refuse')).status).toBe(200);
    await curl('https://unlisted.example/', through(daemon));
    const { output } = await type('mtlsd tail --no-follow --failed -n 1');
    const matched = await type(/mtlsd match \S+/.exec(output)?.[0] ?? '');
    expect((await set('intercept')).status).toBe(200);
    expect(matched.output).toContain('unlisted.example:443 would be refused');
  });

  test('a server of which probe tells more', async () => {
    const { hint } = new MtlsdError('TLS_FAILED', 'as it fails with a server that offers nothing of ours');
    expect(await type(commandIn(hintAt(hint, 'plain.example:443')).replace(/ shows.*/, ''))).toMatchObject({
      code: 0,
      output: expect.stringContaining('TLSv1.3'),
    });
  });

  test('a client that does not trust the local CA', async () => {
    await curl('https://plain.example/', ['--proxy', daemon.proxy]);
    await daemon.event('proxy.refused');
    const { output } = await type('mtlsd tail --no-follow --failed -n 1');
    expect(output).toContain('mtlsd env');
    for (const how of [
      'eval "$(mtlsd env)"; curl -sS https://plain.example/',
      'curl -sS --proxy "$HTTPS_PROXY" --cacert "$(mtlsd ca path)" https://plain.example/',
    ])
      expect(await type(how.replace('$HTTPS_PROXY', daemon.proxy))).toMatchObject({ code: 0 });
    const doctor = (await type('mtlsd doctor --no-clients')).output;
    expect(doctor).toContain('start that client with mtlsd run, or: mtlsd ca install');
    expect(await type('mtlsd run curl -sS https://plain.example/')).toMatchObject({ code: 0 });
    // The stores of this machine stay as they are: --dry-run shows what would be run.
    for (const how of ['install', 'install --nss', 'uninstall'])
      expect((await type(`mtlsd ca ${how} --dry-run`)).output).not.toBe('');
    const landing = await curl('http://mtlsd.test/', ['--proxy', daemon.proxy, '--header', 'Accept: text/html']);
    expect(landing.body).toContain('<code>mtlsd ca show</code>');
    const { fingerprint256 } = new X509Certificate(readFileSync(daemon.caFile));
    expect(landing.body).toContain(fingerprint256);
    expect((await type('mtlsd ca show')).output).toContain(fingerprint256);
  });

  test('a rotation of the local CA that is in progress, and none', async () => {
    const hintOf = async (command: string): Promise<string> => {
      const refused = await type(command);
      expect(refused.code).toBe(1);
      return /^next: (.*)$/m.exec(refused.output)?.[1] ?? '';
    };
    const begin = commandIn((await hintOf('mtlsd ca rotate --finish')).replace(' begins one', ''));
    for (const words of ['finish it: ', 'cancel it: ']) {
      expect(await type(begin)).toMatchObject({ code: 0, output: expect.stringContaining('mtlsd ca install') });
      expect(await type(commandIn(await hintOf('mtlsd ca rotate'), words))).toMatchObject({ code: 0 });
    }
    expect((await get('plain.example')).status).toBe(200);
  });

  test('what is not there is listed', async () => {
    for (const [command, hint, output] of [
      ['mtlsd trust remove nobody', 'mtlsd trust list', 'other root'],
      ['mtlsd verification remove nobody.example', 'mtlsd verification show', '*.broad.example'],
      ['mtlsd cert show nobody', 'mtlsd cert list', 'renewing'],
    ] as const) {
      const refused = await type(command);
      expect(refused).toMatchObject({ code: 1, output: expect.stringContaining(hint) });
      expect(await type(hint)).toMatchObject({ code: 0, output: expect.stringContaining(output) });
    }
  });

  test('a second daemon on one home, and none', async () => {
    const second = await type('mtlsd start --listen 127.0.0.1:0 --admin 127.0.0.1:0');
    expect(second).toMatchObject({ output: expect.stringContaining('next: mtlsd status shows it') });
    expect((await type('mtlsd status')).output).toContain(`process ${daemon.process.pid}`);

    const home = temporaryDirectory();
    writeFileSync(join(home, 'mtlsd.yaml'), 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n');
    const none = await runMtlsd(['status', '--home', home]);
    expect(none.stderr).toMatch(/^next: mtlsd start/m);
    typed.add('start');
    const started = spawn(process.execPath, [BIN, 'start'], { env: { ...process.env, MTLSD_HOME: home } });
    for await (const line of createInterface({ input: started.stdout })) if (line.includes('"daemon.ready"')) break;
    expect(await runMtlsd(['health', '--home', home])).toMatchObject({ code: 0 });
    started.kill();
    await new Promise((resolve) => started.on('close', resolve));
  });

  test('a wrong code on the page', async () => {
    const wrong = await fetch(`${daemon.admin}/login`, {
      method: 'POST',
      headers: { origin: 'null', 'content-type': 'application/x-www-form-urlencoded' },
      body: 'secret=wrong',
    });
    expect(await wrong.text()).toContain('run mtlsd ui again');
    const { output } = await type('mtlsd ui');
    expect(output).toContain(`${daemon.admin}/`);
  });

  test('a daemon whose API answers with an error', async () => {
    const broken = createServer((_request, response) => response.writeHead(500).end());
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    const home = temporaryDirectory();
    const admin = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`;
    writeFileSync(join(home, 'admin.token'), 'x', { mode: 0o600 });
    writeFileSync(
      join(home, 'run.json'),
      JSON.stringify({ pid: process.pid, version: '0.1.0', proxy: ['127.0.0.1:1'], admin }),
    );
    const { stderr } = await runMtlsd(['tail', '--home', home]);
    broken.close();
    expect(stderr).toMatch(/^next: mtlsd doctor$/m);
    expect((await type('mtlsd doctor --no-clients')).output).toMatch(/^\S+ +store/m);
  });

  test.runIf(hasTool('python3'))('trust add asks on a terminal, and takes yes for an answer only', async () => {
    const ask = (answer: string) => {
      const command = `mtlsd trust add other.crt --host asked.example`;
      const words = command.replace('mtlsd', `${process.execPath} ${BIN}`).split(' ');
      return type(`python3 -c '${ON_A_TERMINAL}' ${answer} ${words.join(' ')}`);
    };
    const listed = async () => (await mtlsd('trust', 'list')).stdout.includes('asked.example');
    for (const answer of ['n', '']) {
      const { code, output } = await ask(answer === '' ? "''" : answer);
      expect(code).toBe(1);
      expect(output).toMatch(/SHA-256 +[0-9A-F:]{95}[^]*Trust this CA for asked\.example\? \[y\/N\]/);
      expect(output).toContain('nothing was changed');
      expect(await listed()).toBe(false);
    }
    expect(await ask('y')).toMatchObject({ code: 0, output: expect.stringContaining('trusted for asked.example') });
    expect(await listed()).toBe(true);
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

  test('each route that a hint of the API names is in its OpenAPI document, with the fields that it names', async () => {
    const { paths } = (await (await daemon.api('/openapi.json')).json()) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const hints = [
      ...[...Object.values(ERROR_CODES), ...Object.values(ALERTS)].map(({ hint }) => hint),
      ...Object.values(RENEWAL_FAULTS),
      ...Object.keys(PROBLEM_CODES).map((code) => problemHint(code, 'a.example', 443)),
    ];
    const named = hints.flatMap((hint) => [
      ...apiHint(hintAt(hint, 'a.example:443')).matchAll(/(GET|POST|PUT|PATCH|DELETE) (\/[^\s;,?]+)([^;]*)/g),
    ]);
    expect(named.length).toBeGreaterThan(20);
    for (const [all, method = '', path = '', rest = ''] of named) {
      const [, operation] =
        Object.entries(paths).find(([template]) =>
          new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
        ) ?? [];
      expect(operation?.[method.toLowerCase()], all).toBeDefined();
      const text = JSON.stringify(paths);
      for (const [field] of rest.matchAll(/\b(?:[a-z]+_[a-z0-9_]+|allow(?=:)|pins|fingerprint256)\b/g))
        expect(text, all).toContain(field);
    }
  });

  test('the routes of a hint, followed, let the server through', async () => {
    const failed = async (host: string): Promise<string> => {
      await get(host);
      const { error } = (await (await daemon.api(`/api/v1/exchanges/${(await verdict())?.exchange}`)).json()) as {
        error: { hint: string };
      };
      return error.hint;
    };
    const call = async (method: string, path: string, body: unknown) => {
      const answer = await daemon.api(path, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    };
    const [, authority, host] =
      /POST (?:\S+) with authority "([^"]+)", the fingerprint256 that POST \/api\/v1\/probe shows, and host "([^"]+)"/.exec(
        await failed('chain.example'),
      ) ?? [];
    const probe = (await call('POST', '/api/v1/probe', { authority, ciphers: false })).body as {
      server: { sent: { fingerprint256: string; self_signed: boolean; ca: boolean }[] };
    };
    const { fingerprint256 } = probe.server.sent.findLast(({ ca }) => ca) ?? { fingerprint256: '' };
    expect(await call('POST', '/api/v1/trust/anchors', { authority, fingerprint256, host })).toMatchObject({
      status: 201,
    });
    expect((await get('chain.example')).status).toBe(200);

    const [, path = '', codes = ''] =
      /PUT (\S+) with allow: \[([^\]]+)\] added/.exec(await failed('three.example')) ?? [];
    expect((await call('PUT', path, { allow: codes.split(', ') })).status).toBeLessThan(300);
    expect((await get('three.example')).status).toBe(200);
    await mtlsd('verification', 'remove', 'three.example');
  });

  test('each command that a hint in src/ prints has been typed above', () => {
    const printed = new Map<string, string>();
    for (const file of globSync('src/**/*.ts')) {
      if (NO_HINTS.has(file)) continue;
      const code = readFileSync(file, 'utf8')
        .replaceAll(/\/\*[^]*?\*\//g, '')
        .replaceAll(/^\s*\/\/.*$/gm, '')
        // Their examples and references are held to the commands by docs-commands.test.ts.
        .replaceAll(/\.addHelpText\(\s*'after',\s*(?:`[^`]*`|'[^']*'|"[^"]*")/g, '')
        .replaceAll(/\.(?:description|argument|option)\([^]*?\)\n/g, '');
      for (const command of commandsOf(code)) printed.set(command, file);
    }
    const isTyped = (command: string): boolean => {
      const [path = '', ...options] = command.split(/ (?=--)/);
      return [...typed].some((one) => one.startsWith(path) && options.every((option) => one.includes(option)));
    };
    expect(printed.size).toBeGreaterThan(25);
    expect([...printed].filter(([command]) => !isTyped(command))).toEqual([]);
  });
});

/** They print no next step: the overview of --help, the scripts of completion, the API's table of these very commands. */
const NO_HINTS = new Set([
  'src/cli/main.ts',
  'src/cli/completion-scripts.ts',
  'src/admin/hints.ts',
  'src/cli/commands/demo.ts',
]);

/** Runs a command on a terminal of its own, and answers its first question. */
const ON_A_TERMINAL = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[2], sys.argv[2:])
out, answered = b"", False
while True:
    try: piece = os.read(fd, 65536)
    except OSError: break
    if not piece: break
    out += piece
    if not answered and b"[y/N] " in out:
        answered = True
        os.write(fd, sys.argv[1].encode() + b"\\n")
sys.stdout.buffer.write(out)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

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
