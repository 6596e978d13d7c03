/** The local CA as the settings want it: its key encrypted on disk, or an intermediate of the user's own. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin } from '../support/origins.ts';
import { ago, ahead, createPki, DAY } from '../support/pki.ts';

const run = promisify(execFile);

test('the key is encrypted by the passphrase of the settings, and a wrong one is refused at the start', async () => {
  const home = temporaryDirectory();
  const key = (): string => readFileSync(join(home, 'ca/ca.key'), 'utf8');
  const plain = await startDaemon({ home });
  const { caFile } = plain;
  const certificate = readFileSync(caFile, 'utf8');
  await plain.stop();
  expect(key()).not.toContain('ENCRYPTED');

  const settings = 'ca: { passphrase: { env: MTLSD_TEST_CA } }\n';
  const secrets = ['correct horse battery'];
  const encrypted = await startDaemon({ home, settings, secrets, env: { MTLSD_TEST_CA: secrets[0] } });
  expect((await encrypted.event('daemon.warning')).message).toContain('ca.key was not encrypted and now is');
  expect(key()).toContain('ENCRYPTED');
  expect(readFileSync(caFile, 'utf8')).toBe(certificate);
  expect((await curl('https://mtlsd.test/', through(encrypted))).status).toBe(200);
  const { stdout } = await runMtlsd(['doctor', '--no-clients', '--home', home]);
  expect(stdout).toMatch(/local CA: .*, its key encrypted/);
  await encrypted.stop();

  for (const [value, message] of [
    [
      'canary-wrong',
      /^mtlsd: ca\.passphrase does not open the key in \S+ca\.key\nnext: check the passphrase: openssl pkey /,
    ],
    [undefined, /^mtlsd: ca\.passphrase: the variable MTLSD_TEST_CA is not set .*\nnext: start the daemon with/],
  ] as const) {
    const { code, stdout, stderr } = await runMtlsd(['start', '--home', home], { MTLSD_TEST_CA: value });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(2);
    expect(stderr).not.toContain('canary');
  }
  const expected = '{ env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }';
  for (const [setting, message] of [
    ['ca: { passphrase: canary-text }', `1:19: passphrase is a string; expected ${expected}`],
    ['auth: { users: { alice: canary-text } }', '1:25: alice is a string; expected { file: PATH } or { env: NAME }'],
  ] as const) {
    writeFileSync(join(home, 'mtlsd.yaml'), setting);
    const { code, stderr } = await runMtlsd(['start', '--home', home]);
    expect([code, stderr]).toEqual([2, `mtlsd: ${join(home, 'mtlsd.yaml')}:${message}\n`]);
  }
});

test('an intermediate of your own signs: clients that trust its root need nothing else', {
  timeout: 60_000,
}, async () => {
  const home = temporaryDirectory();
  const pki = await createPki();
  const root = await pki.root({ cn: 'corp root' });
  const policy = await root.intermediate({ cn: 'corp policy', permittedDns: ['corp.example', 'mtlsd.test'] });
  const issuing = await policy.intermediate({ cn: 'corp issuing' });
  issuing.write(home, 'issuing');
  writeFileSync(join(home, 'issuing.crt'), issuing.certPem + policy.certPem + root.certPem);
  const rootFile = join(home, 'root.crt');
  writeFileSync(rootFile, root.certPem);
  const { keyPem, chainPem } = await root.issue({
    cn: 'api.corp.example',
    sans: ['api.corp.example', 'other.example'],
  });
  const origin = await nodeOrigin({ key: keyPem, cert: chainPem });
  const impostor = await issuing.issue({ cn: 'stolen.corp.example' });
  const stolen = await nodeOrigin({ key: impostor.keyPem, cert: impostor.chainPem });
  const place = `"127.0.0.1:${origin.port}"`;
  const daemon = await startDaemon({
    home,
    settings: `ca: { cert: issuing.crt, key: issuing.key }
connect_to: { api.corp.example: ${place}, other.example: ${place}, stolen.corp.example: "127.0.0.1:${stolen.port}" }
`,
    store: `version: 1\ntrust: { system: false, ca: [${rootFile}] }\n`,
  });
  expect((await daemon.event('daemon.ready')).ca_fingerprint256).toBe(root.x509.fingerprint256);
  expect(readFileSync(daemon.caFile, 'utf8')).toBe(root.certPem);
  const asking = run('openssl', [
    ...['s_client', '-proxy', `127.0.0.1:${daemon.proxyPort}`, '-connect', 'api.corp.example:443'],
    ...['-servername', 'api.corp.example', '-verify_hostname', 'api.corp.example'],
    ...['-CAfile', rootFile, '-verify_return_error', '-x509_strict'],
  ]);
  asking.child.stdin?.end();
  const { stdout: shown } = await asking;
  expect([...shown.matchAll(/^ *\d s:(.*)$/gm)].map(([, subject]) => subject?.replaceAll(' ', ''))).toEqual([
    'CN=api.corp.example',
    'CN=corpissuing',
    'CN=corppolicy',
  ]);
  expect(shown).toContain('Verification: OK');
  expect((await curl('https://api.corp.example/', through(daemon))).status).toBe(200);
  const node = "fetch('https://api.corp.example/').then((r) => console.log(r.status))";
  const { stdout } = await runMtlsd(['run', '--home', home, '--', process.execPath, '-e', node]);
  expect(stdout).toBe('200\n');

  // Outside of its name constraints, as with ca.permitted.
  expect((await curl('https://other.example/', through(daemon))).status).toBe(200); // of the origin's own root
  const tunnel = await daemon.event('tunnel');
  expect(tunnel.why).toBe('the local CA may not sign for it: the name constraints of ca.cert exclude it');
  // A server with a certificate of this intermediate can only be an impostor.
  expect((await curl('https://stolen.corp.example/', through(daemon))).body).toContain('LOCAL_CA_LEAF');

  const page = await curl('http://mtlsd.test/', ['--proxy', daemon.proxy, '-H', 'Accept: text/html']);
  expect(page.body).toContain(root.x509.fingerprint256);
  const shownCa = (await runMtlsd(['ca', 'show', '--home', home])).stdout;
  expect(shownCa).toMatch(/CN=corp root[^]*signs +the CA of ca\.cert in mtlsd\.yaml/);
  expect((await runMtlsd(['status', '--home', home])).stdout).toContain('CN=corp issuing below it signs');
  const doctor = await runMtlsd(['doctor', '--no-clients', '--home', home]);
  expect(doctor.stdout).toMatch(/local CA: CN=corp root, until .*, for the CA in .*issuing\.crt/);

  // Renewed in place: the next leaf is of the new one.
  const renewed = await policy.intermediate({ cn: 'corp issuing 2' });
  writeFileSync(join(home, 'issuing.key'), renewed.keyPem);
  writeFileSync(join(home, 'issuing.crt'), renewed.certPem + policy.certPem + root.certPem);
  expect(await daemon.event('ca.changed')).toMatchObject({ why: 'reloaded', subject: 'CN=corp issuing 2' });
  const verbose = await curl('https://api.corp.example/', [...through(daemon), '--verbose']);
  expect([verbose.status, verbose.stderr]).toEqual([200, expect.stringContaining('CN=corp issuing 2')]);
  await Promise.all([daemon.stop(), origin.close(), stolen.close()]);
});

test('constraints that exclude mtlsd.test leave trust untested, and that is said', { timeout: 60_000 }, async () => {
  const home = temporaryDirectory();
  const root = await (await createPki()).root();
  const dates = { notBefore: ago(60 * DAY), notAfter: ahead(5 * DAY) };
  const issuing = await root.intermediate({ permittedDns: ['corp.example'], ...dates });
  issuing.write(home, 'issuing');
  writeFileSync(join(home, 'issuing.crt'), issuing.certPem + root.certPem);
  writeFileSync(join(home, 'mtlsd.yaml'), 'ca: { cert: issuing.crt, key: issuing.key }\n');
  const offline = await runMtlsd(['match', 'bank.example', '--home', home]);
  expect(offline.stdout).toContain('the name constraints of ca.cert exclude it');
  const daemon = await startDaemon({ home });
  expect(await daemon.event('certificate.expiring')).toMatchObject({ name: 'local CA', days_left: 4, threshold: 7 });
  const page = await curl('http://mtlsd.test/', ['--proxy', daemon.proxy, '-H', 'Accept: text/html']);
  expect(page.body).toContain('Not tested: this CA may not sign for mtlsd.test.');
  expect(page.body).not.toContain('<script');
  const { stdout } = await runMtlsd(['doctor', '--home', home]);
  expect(stdout).toContain(
    'client curl: uses the proxy under mtlsd run; trust is not tested: the local CA may not sign for mtlsd.test',
  );
  await daemon.stop();
});

test.each([
  ['ca: { key: own.key }', 'ca.key', 'there is no certificate with it'],
  ['ca: { cert: own.crt, permitted: [a.example] }', 'ca.permitted', 'it limits a CA that mtlsd makes'],
  ['ca: { cert: ca/ca.pem }', 'ca.cert', 'is where mtlsd keeps its own files'],
  ['ca: { cert: own.crt }', 'ca.cert', 'FILE_MISSING'],
])('%s is refused', async (settings, setting, message) => {
  const home = temporaryDirectory();
  writeFileSync(join(home, 'mtlsd.yaml'), settings);
  const { code, stderr } = await runMtlsd(['start', '--home', home]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(`^mtlsd: ${setting}.*${message}.*\nnext: .+\n$`)]);
});
