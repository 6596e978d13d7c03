/** Reads one file of an identity, up to a maximum size; errors name the file and the cause. */
import { constants, open } from 'node:fs/promises';
import { CodedError, nativeCode } from '../../core/errors.ts';
import { detect, type Detected } from './detect.ts';
import { diagnosis, shellWord, unusable } from './diagnosis.ts';
import type { Diagnosis } from './identity.ts';
import { ProgramFailed, PROGRAM_TIMEOUT_MS, runProgram } from './program.ts';

/**
 * On disk, in memory (an upload that is not stored yet), in a variable, or the output of a program; `label` names it in messages.
 */
export type FileSource =
  | { readonly path: string }
  | { readonly bytes: Buffer; readonly label: string }
  | { readonly env: string; readonly label: string }
  /** Run without a shell, in the folder of the store. */
  | { readonly command: readonly string[]; readonly cwd: string; readonly label: string };

/** A key, a chain and a PFX have a few KiB; a bundle of all public CAs has a quarter of one MiB. */
const MOST_BYTES = 1024 * 1024;

export interface ReadFile extends Detected {
  readonly file: string;
  readonly bytes: Buffer;
  readonly problems: readonly Diagnosis[];
}

/**
 * @param secret whether it holds a key, so that others must not read it
 * @throws CodedError FILE_MISSING, FILE_UNREADABLE, FILE_TOO_LARGE, FILE_EMPTY, MATERIAL_UNAVAILABLE
 */
export async function readIdentityFile(source: FileSource, secret: boolean): Promise<ReadFile> {
  const file = 'path' in source ? source.path : source.label;
  const { bytes, mode } =
    'path' in source ? await readBounded(file, MOST_BYTES) : { bytes: await contentOf(source), mode: 0 };
  if (bytes.length > MOST_BYTES) throw tooLarge(file, bytes.length, MOST_BYTES);
  const detected = detect(bytes);
  if (detected.kind === 'empty')
    throw unusable('FILE_EMPTY', file, `${file} is empty`, 'copy the file again, as it was handed out');
  const exposed = secret && holdsKey(detected) && (mode & 0o004) !== 0 && process.platform !== 'win32';
  return { ...detected, file, bytes, problems: exposed ? [readableByEveryone(file)] : [] };
}

async function contentOf(source: Exclude<FileSource, { readonly path: string }>): Promise<Buffer> {
  if ('bytes' in source) return source.bytes;
  return plain('env' in source ? variable(source.env) : await output(source.command, source.cwd));
}

function variable(name: string): Buffer {
  const value = process.env[name];
  if (value !== undefined) return Buffer.from(value);
  throw unusable(
    'MATERIAL_UNAVAILABLE',
    null,
    `the variable ${name} is not set in the daemon's environment`,
    `start the daemon with ${name} set`,
  );
}

async function output(command: readonly string[], cwd: string): Promise<Buffer> {
  try {
    return await runProgram({ command, cwd, timeoutMs: PROGRAM_TIMEOUT_MS, maxBytes: MOST_BYTES });
  } catch (error) {
    if (!(error instanceof ProgramFailed)) throw error;
    throw unusable(
      'MATERIAL_UNAVAILABLE',
      null,
      `the command ${command[0]} ${error.message}`,
      "run the command of the entry yourself, as the daemon's user; it has to write what the file would hold and exit with 0",
    );
  }
}

/** A variable holds no zero bytes and secret managers hand out text: what is not PEM may come in base64. */
function plain(bytes: Buffer): Buffer {
  return detect(bytes).kind === 'base64' ? Buffer.from(bytes.toString('latin1'), 'base64') : bytes;
}

export function readableByEveryone(file: string): Diagnosis {
  return diagnosis(
    'FILE_READABLE_BY_EVERYONE',
    file,
    `${file} holds a secret and every user of this machine can read it`,
    `chmod 600 ${shellWord(file)}`,
  );
}

function holdsKey({ kind, text }: Detected): boolean {
  return text === null ? kind !== 'certificate' : text.includes('PRIVATE KEY-----');
}

/** @throws CodedError FILE_MISSING, FILE_UNREADABLE, FILE_TOO_LARGE */
export async function readBounded(file: string, mostBytes: number): Promise<{ bytes: Buffer; mode: number }> {
  try {
    // Without O_NONBLOCK, opening a FIFO waits for its writer without a limit.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const { size, mode } = await handle.stat().then((stats) => {
        if (stats.isFile()) return stats;
        throw unusable(
          'FILE_UNREADABLE',
          file,
          `${file} is ${stats.isDirectory() ? 'a folder' : 'not a regular file'}`,
          'name the file itself',
        );
      });
      if (size > mostBytes) throw tooLarge(file, size, mostBytes);
      return { bytes: await handle.readFile(), mode };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unreadable(file, error);
  }
}

function unreadable(file: string, error: unknown): CodedError {
  const code = nativeCode(error) ?? 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return unusable(
      'FILE_MISSING',
      file,
      `${file} does not exist`,
      'check the path; in certificates.yaml, a relative path starts at the folder of that file',
    );
  }
  return unusable(
    'FILE_UNREADABLE',
    file,
    `${file} can't be read: ${code}`,
    `check who may read it: ls -l ${shellWord(file)}`,
  );
}

function tooLarge(file: string, size: number, most: number): CodedError {
  return unusable(
    'FILE_TOO_LARGE',
    file,
    `${file} has ${size} bytes; at most ${most} are read`,
    'name the file of the certificate or key itself',
  );
}
