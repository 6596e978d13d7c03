/** Where a passphrase comes from: the store itself, the environment, a file, or a program's output. */
import { readFile } from 'node:fs/promises';
import { CodedError, nativeCode } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { shellWord, unusable } from './diagnosis.ts';
import { ProgramFailed, programTimeoutMs, runProgram } from './program.ts';

export type PassphraseSource =
  | { readonly text: Secret }
  | { readonly env: string }
  /** An absolute path. */
  | { readonly file: string }
  /** Run without a shell, in the folder of the store. */
  | { readonly command: readonly string[]; readonly cwd: string };

/** Longer than any passphrase, shorter than a mistake such as `cat` of the wrong file. */
const maxLength = 4096;

/**
 * @param timeoutMs of a command
 * @throws CodedError PASSPHRASE_UNAVAILABLE with the reason and never with anything that the file or the program said, since
 *   that may be the passphrase
 */
export async function readPassphrase(source: PassphraseSource, timeoutMs = programTimeoutMs): Promise<Secret> {
  if ('text' in source) return source.text;
  if ('env' in source) return fromEnvironment(source.env);
  return 'file' in source ? fromFile(source.file) : fromCommand(source.command, source.cwd, timeoutMs);
}

function fromEnvironment(name: string): Secret {
  const value = process.env[name];
  if (value !== undefined) return new Secret(value);
  throw unavailable(
    null,
    `the variable ${name} is not set in the daemon's environment`,
    `start the daemon with ${name} set, or use passphrase: { file: PATH }`,
  );
}

async function fromFile(file: string): Promise<Secret> {
  try {
    const bytes = await readFile(file);
    if (bytes.length > maxLength)
      throw unavailable(
        file,
        `the passphrase file ${file} has ${bytes.length} bytes; a passphrase has at most ${maxLength}`,
        'name the file that holds the passphrase and nothing else',
      );
    return new Secret(withoutLineBreak(bytes.toString('utf8')));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unavailable(
      file,
      `the passphrase file ${file} can't be read: ${nativeCode(error) ?? 'unknown error'}`,
      `check that it exists and that the daemon may read it: ls -l ${shellWord(file)}`,
    );
  }
}

async function fromCommand(command: readonly string[], cwd: string, timeoutMs: number): Promise<Secret> {
  try {
    const bytes = await runProgram({ command, cwd, timeoutMs, maxBytes: maxLength });
    return new Secret(withoutLineBreak(bytes.toString('utf8')));
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    throw unavailable(
      null,
      `the passphrase command ${command[0]} ${error.message}`,
      `run the command of the entry yourself, as the daemon's user; it has to write the passphrase and exit with 0`,
    );
  }
}

/** One line break at the end belongs to the tool that wrote it; spaces may be the passphrase's own. */
function withoutLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '').replace(/^\uFEFF/, '');
}

function unavailable(file: string | null, message: string, hint: string): CodedError {
  return unusable('PASSPHRASE_UNAVAILABLE', file, message, hint);
}
