import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { readPassphrase } from '../../../../src/certs/identity/passphrase.ts';
import { Secret } from '../../../../src/core/secret.ts';

const cwd = mkdtempSync(path.join(tmpdir(), 'mtlsd-passphrase-'));
afterAll(() => rmSync(cwd, { recursive: true }));

const command = (...argv: string[]) => ({ command: argv, cwd });
const reveal = async (...args: Parameters<typeof readPassphrase>) => (await readPassphrase(...args)).reveal();

describe('a passphrase', () => {
  test('as text is itself', async () => {
    expect(await reveal({ text: new Secret(' pä ss\n') })).toBe(' pä ss\n');
  });
  test('of the environment is the variable', async () => {
    process.env['MTLSD_TEST_PASS'] = 'from env ';
    expect(await reveal({ env: 'MTLSD_TEST_PASS' })).toBe('from env ');
  });
  test.each([
    ['one line break off', 'secret\n', 'secret'],
    ['a Windows one off', 'secret\r\n', 'secret'],
    ['spaces and further line breaks kept', ' sec ret \n\n', ' sec ret \n'],
    ['non-ASCII', 'pässwört€\n', 'pässwört€'],
    ['empty', '', ''],
  ])('of a file: %s', async (_, content, expected) => {
    const file = path.join(cwd, 'pass');
    writeFileSync(file, content);
    expect(await reveal({ file })).toBe(expected);
  });
  test('of a command is its output, less the line break', async () => {
    expect(await reveal(command('printf', '%s\\n', 'from command'))).toBe('from command');
  });
  test('of a command runs without a shell', async () => {
    expect(await reveal(command('echo', '$HOME; touch pwned', '`id`'))).toBe('$HOME; touch pwned `id`');
    expect(existsSync(path.join(cwd, 'pwned'))).toBe(false);
  });
  test("of a command runs in the store's folder, with nothing on its input", async () => {
    expect(await reveal(command('sh', '-c', 'cat; pwd'))).toBe(cwd);
  });
  test('never shows', async () => {
    const secret = await readPassphrase(command('echo', 'canary'));
    expect(`${secret as unknown as string} ${JSON.stringify({ secret })} ${inspect(secret)}`).not.toContain('canary');
  });
});

describe('is unavailable, without a word of what was said, where', () => {
  test.each([
    [
      'the variable is not set',
      { env: 'MTLSD_TEST_UNSET' },
      "the variable MTLSD_TEST_UNSET is not set in the daemon's environment",
    ],
    ['the file is missing', { file: '/nowhere/pass' }, "the passphrase file /nowhere/pass can't be read: ENOENT"],
    [
      'the program is missing',
      command('mtlsd-no-such-program', 'canary'),
      "the passphrase command mtlsd-no-such-program can't be started: ENOENT",
    ],
    [
      'the program fails',
      command('sh', '-c', 'echo canary; echo canary >&2; exit 7'),
      'the passphrase command sh failed with exit code 7',
    ],
    [
      'the program is killed',
      command('sh', '-c', 'echo canary; kill -9 $$'),
      'the passphrase command sh was ended by SIGKILL',
    ],
    [
      'the program writes without end',
      command('sh', '-c', 'yes canary'),
      'the passphrase command sh wrote more than 4096 bytes',
    ],
  ])('%s', async (_, source, message) => {
    const error: unknown = await readPassphrase(source).catch((error: unknown) => error);
    expect(error).toMatchObject({ message, code: 'PASSPHRASE_UNAVAILABLE' });
    expect(JSON.stringify(error)).not.toContain('canary');
  });
  test('the file is no passphrase', async () => {
    const file = path.join(cwd, 'large');
    writeFileSync(file, 'x'.repeat(5000));
    await expect(readPassphrase({ file })).rejects.toThrow('has 5000 bytes; a passphrase has at most 4096');
  });
  test('the program takes too long; its children end with it', async () => {
    const fifo = path.join(cwd, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const ended = once(createReadStream(fifo).resume(), 'end'); // when the last that has it open for writing is gone
    const hangs = command('sh', '-c', 'sleep 60 > fifo & wait');
    await expect(readPassphrase(hangs, 300)).rejects.toThrow('the passphrase command sh took longer than 0.3 s');
    await ended;
  });
});
