/** Where a passphrase comes from: the store itself, the environment, a file, or a program's output. */
import type { CodedError } from '../../core/errors.ts';
import { LONGEST_SECRET, type ProgramSource, readSecret, secretOf, type SecretSource } from '../../core/read-secret.ts';
import type { Secret } from '../../core/secret.ts';
import { shellWord, unusable } from './diagnosis.ts';
import { ProgramFailed, PROGRAM_TIMEOUT_MS, runProgram } from './program.ts';

export type PassphraseSource = { readonly text: Secret } | SecretSource | ProgramSource;

/**
 * @param timeoutMs of a command
 * @throws CodedError PASSPHRASE_UNAVAILABLE with the reason and never with anything that the file or the program said, since
 *   that may be the passphrase
 */
export async function readPassphrase(source: PassphraseSource, timeoutMs = PROGRAM_TIMEOUT_MS): Promise<Secret> {
  if ('text' in source) return source.text;
  if ('command' in source) return fromCommand(source.command, source.cwd, timeoutMs);
  const reading = await readSecret(source);
  if (reading.secret) return reading.secret;
  const { problem, why } = reading;
  if ('env' in source)
    throw unavailable(
      null,
      `the variable ${source.env} ${why} in the daemon's environment`,
      `start the daemon with ${source.env} set, or use passphrase: { file: PATH }`,
    );
  const { file } = source;
  if (problem === 'too long')
    throw unavailable(
      file,
      `the passphrase file ${file} ${why}; a passphrase has at most ${LONGEST_SECRET}`,
      'name the file that holds the passphrase and nothing else',
    );
  throw unavailable(
    file,
    `the passphrase file ${file} ${why}`,
    `check that it exists and that the daemon may read it: ls -l ${shellWord(file)}`,
  );
}

async function fromCommand(command: readonly string[], cwd: string, timeoutMs: number): Promise<Secret> {
  try {
    return secretOf(await runProgram({ command, cwd, timeoutMs, maxBytes: LONGEST_SECRET }));
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    throw unavailable(
      null,
      `the passphrase command ${command[0]} ${error.message}`,
      "run this command yourself, as the daemon's user; it has to write the passphrase and exit with 0",
    );
  }
}

function unavailable(file: string | null, message: string, hint: string): CodedError {
  return unusable('PASSPHRASE_UNAVAILABLE', file, message, hint);
}
