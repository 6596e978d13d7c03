import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatusAnswer } from '../../src/admin/routes/status.ts';
import type { MatchAnswer } from '../../src/admin/schemas/match.ts';
import type { ProbeAnswer } from '../../src/admin/schemas/probe.ts';
import type { ExchangeRecord } from '../../src/inspect/records/types.ts';
import { ago, DAY } from '../support/pki.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, temporaryDirectory } from '../support/daemon.ts';
import type { Origin } from '../support/origins.ts';

const BIN = new URL('../../bin/mtlsd.js', import.meta.url).pathname;

describe('what a daemon did, on the command line', () => {
  const files = temporaryDirectory();
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
  - { name: old, host: localhost, port: ${port}, cert: ${files}/bob.crt, key: ${files}/bob.key }
  - { name: alice, host: localhost, port: ${port}, cert: ${files}/alice.crt, key: ${files}/alice.key }
trust: { system: false, ca: [${files}/root.crt] }
verification: { rules: [{ host: dev.example, mode: report }] }
interception: { passthrough: [bank.example] }
`,
    });
    ({ origin, daemon } = scene);
    await curl(`${origin.url}/good`, through(daemon));
    await curl(`${origin.url}/bad`, [...through(daemon), '-H', 'Mtlsd-Certificate: none']);
  });
  afterAll(() => scene.close());

  const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', daemon.home]);
  const failedExchange = async (): Promise<ExchangeRecord> =>
    JSON.parse((await mtlsd('tail', '--no-follow', '--failed', '--json', '-n', '1')).stdout) as ExchangeRecord;

  test('status on one screen, and as JSON', async () => {
    const { code, stdout } = await mtlsd('status');
    expect(code).toBe(0);
    for (const line of [
      /^daemon +ready, version \d+\.\d+\.\d+, process \d+, since \d{4}-/m,
      new RegExp(`^proxy +${daemon.proxy}$`, 'm'),
      /^local CA +CN=mtlsd local CA/m,
      /^store +2 certificates$/m,
      /^expiring +old in 29 days\n +alice in 29 days$/m,
      /^verification +enforce, 1 rule$/m,
      /^remembered +2 exchanges, 2 connections$/m,
    ])
      expect(stdout).toMatch(line);
    expect(stdout).not.toContain('\u001b');
    expect((JSON.parse((await mtlsd('status', '--json')).stdout) as StatusAnswer & { admin: string }).admin).toBe(
      daemon.admin,
    );
    const none = await runMtlsd(['status', '--home', files]);
    expect(none).toEqual({
      code: 1,
      stdout: '',
      stderr: `mtlsd: no daemon runs for ${files}\nnext: mtlsd start, or name another home with --home DIR\n`,
    });
  });

  test('colour on demand and never with NO_COLOR', async () => {
    const status = ['status', '--home', daemon.home];
    expect((await runMtlsd(status, { FORCE_COLOR: '1', NO_COLOR: undefined })).stdout).toContain('\u001b[32mready');
    expect((await runMtlsd(status, { NO_COLOR: '1', FORCE_COLOR: undefined })).stdout).not.toContain('\u001b');
  });

  test('match explains in sentences', async () => {
    expect(
      (await mtlsd('match', `${origin.url}/x?y`)).stdout,
    ).toBe(`A request for localhost:${origin.port} would be intercepted: a certificate is configured for it.
It would present the certificate alice, where the server asks for one: exact host and port.
  not old: shadowed by alice, later in the file
The server's certificate has to pass verification (mode enforce; no rule matches).
  TLSv1.2 to TLSv1.3; 1 trust anchor
`);
    expect((await mtlsd('match', 'dev.example')).stdout).toContain(
      'goes through with any result (mode report; rule dev.example:443, exact host and port)',
    );
    expect((await mtlsd('match', 'bank.example')).stdout).toContain(
      'would be passed through untouched: interception.passthrough lists it.',
    );
    expect((await mtlsd('match', 'http://dev.example/')).stdout).toContain('a certificate is never sent for it');
    expect(
      JSON.parse(
        (await mtlsd('match', origin.url, '--certificate', 'none', '--verification', 'report', '--json')).stdout,
      ) as MatchAnswer,
    ).toMatchObject({
      certificate: { name: null },
      verification: { mode: 'report', override: true },
    });
    for (const url of ['ftp://a.example/', 'a b', 'https://']) expect((await mtlsd('match', url)).code, url).toBe(2);
  });

  test('probe explains in sentences, and its exit code tells whether a request would work', async () => {
    const good = await mtlsd('probe', origin.url, '--no-ciphers');
    expect(good).toMatchObject({ code: 0, stderr: '' });
    for (const sentence of [
      `localhost:${origin.port} (127.0.0.1) speaks TLSv1.3 and TLSv1.2, not TLSv1.1 or TLSv1; ALPN http/1.1.`,
      'It passes verification.',
      'It requires a client certificate.',
      'It names these CAs:\n  CN=test root',
      'It accepts alice (exact host and port).',
      'A request would get through.',
    ])
      expect(good.stdout).toContain(sentence);
    const without = await mtlsd('probe', origin.url, '--no-ciphers', '--certificate', 'none');
    expect([without.code, without.stdout]).toEqual([1, expect.stringContaining('A request would fail.')]);
    const json = await mtlsd('probe', `localhost:${origin.port}`, '--json');
    expect((JSON.parse(json.stdout) as ProbeAnswer).ciphers.map(({ version }) => version)).toEqual([
      'TLSv1.3',
      'TLSv1.2',
    ]);
    const nowhere = await mtlsd('probe', 'nowhere.invalid');
    expect([nowhere.code, nowhere.stdout]).toEqual([
      1,
      expect.stringMatching(/^nowhere\.invalid:443 can't be reached: /),
    ]);
    expect((await mtlsd('probe', 'http://a.example/')).code).toBe(2);
  });

  test('tail shows the recent ones, a line each', async () => {
    const { stdout } = await mtlsd('tail', '--no-follow');
    const here = `localhost:${origin.port}`;
    expect(stdout).toMatch(
      new RegExp(
        `^\\d\\d:\\d\\d:\\d\\d {2}GET {5}${here}/good {2}200 {2}\\d+ ms {2}alice {2}verified\n` +
          `\\d\\d:\\d\\d:\\d\\d {2}GET {5}${here}/bad {2}502 {2}\\d+ ms {2}- {2}CLIENT_CERTIFICATE_REQUIRED\n +.*certificate_required.*; next: add a certificate for this host: mtlsd cert add ${here} --cert FILE --key FILE {2}\\[x-[0-9a-z-]+\\]\n$`,
      ),
    );
    expect((await mtlsd('tail', '--no-follow', '-n', '1')).stdout).toContain('/bad');
    expect((await mtlsd('tail', '--no-follow', '--host', 'other.example')).stdout).toBe('');
    expect((await mtlsd('tail', '--no-follow', '--certificate', 'alice')).stdout).toContain('/good');
    expect((await mtlsd('tail', '-n', 'many')).code).toBe(2);
  });

  test('tail follows, filtered, until the daemon ends', async () => {
    const child = spawn(process.execPath, [BIN, 'tail', '--json', '--failed', '-n', '0', '--home', daemon.home], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    // Subscribed at some moment from now on: what comes is sent until it is seen.
    for (let tries = 0; tries < 100 && !stdout.includes('/shown'); tries++) {
      await curl(`${origin.url}/hidden`, through(daemon));
      await curl(`${origin.url}/shown`, [...through(daemon), '-H', 'Mtlsd-Certificate: none']);
    }
    expect(stdout).not.toContain('/hidden');
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({ event: 'exchange', path: '/shown' });
    child.kill('SIGINT');
    await ended;
  });

  test('one exchange with its connection, by show and by tail --id', async () => {
    const { exchange, connection } = await failedExchange();
    const shown = await mtlsd('show', exchange);
    for (const line of [
      new RegExp(`^exchange +${exchange}$`, 'm'),
      /^asked for +certificate none$/m,
      /^response +502, /m,
      /^TLS +TLSv1\.3, TLS_AES_256_GCM_SHA384, http\/1\.1$/m,
      /^asked +for a client certificate$/m,
      /^sent +none: none asked for by Mtlsd-Certificate$/m,
      /^error CLIENT_CERTIFICATE_REQUIRED: .*\n {2}alert 116 certificate_required: .*\n {2}next: /m,
    ])
      expect(shown.stdout).toMatch(line);
    expect((await mtlsd('tail', '--id', exchange)).stdout).toBe(shown.stdout);
    expect((await mtlsd('show', String(connection))).stdout).toMatch(/^connection +c-/);
    expect(JSON.parse((await mtlsd('show', exchange, '--json')).stdout)).toMatchObject({
      exchange,
      connection: { connection, event: 'tls.failed' },
    });
    expect(await mtlsd('show', 'x-0-0')).toMatchObject({
      code: 1,
      stderr: 'mtlsd: no exchange x-0-0 is remembered\nnext: only the recent ones are; the log has them all\n',
    });
    expect((await mtlsd('show', '../../status')).code).toBe(2);
  });

  test('help for all and each, with examples', async () => {
    const { stdout, code } = await runMtlsd(['--help']);
    expect(code).toBe(0);
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)]
      .map(([, name]) => name ?? '')
      .filter((name) => name !== 'help' && name !== 'mtlsd');
    expect(names).toEqual([
      'start',
      'status',
      'health',
      'demo',
      'cert',
      'verification',
      'trust',
      'match',
      'probe',
      'tail',
      'show',
      'har',
      'ui',
      'run',
      'env',
      'ca',
      'doctor',
      'completion',
    ]);
    const helps = await Promise.all(names.map((name) => runMtlsd([name, '--help'])));
    for (const [i, help] of helps.entries())
      expect([names[i], help.code, /Examples?:\n/.test(help.stdout)]).toEqual([names[i], 0, true]);
    expect((await runMtlsd(['help', 'probe'])).stdout).toContain('mtlsd probe https://');
    expect(await runMtlsd(['nonsense'])).toMatchObject({
      code: 2,
      stderr: "mtlsd: unknown command 'nonsense'\nnext: mtlsd --help\n",
    });
  });
});
