/** The local CA as the settings want it: its key encrypted on disk. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';

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
