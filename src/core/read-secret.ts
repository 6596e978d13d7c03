/** A secret from where the user keeps it: a variable of the environment, or a file. */
import { readFile } from 'node:fs/promises';
import { nativeCode } from './errors.ts';
import { Secret } from './secret.ts';

/** A file is an absolute path. */
export type SecretSource = { readonly env: string } | { readonly file: string };

/** The output of a program, run without a shell in a folder. */
export interface ProgramSource {
  readonly command: readonly string[];
  readonly cwd: string;
}

/** Longer than any passphrase, shorter than a mistake such as the wrong file. */
export const LONGEST_SECRET = 4096;

/** `why` completes "the variable NAME …" or "the file PATH …". Nothing of what was read is in it: that may be the secret. */
export type SecretReading =
  | { readonly secret: Secret }
  | { readonly secret: null; readonly problem: 'unset' | 'unreadable' | 'too long'; readonly why: string };

export async function readSecret(source: SecretSource): Promise<SecretReading> {
  if ('env' in source) {
    const value = process.env[source.env];
    return value === undefined ? { secret: null, problem: 'unset', why: 'is not set' } : { secret: new Secret(value) };
  }
  try {
    const bytes = await readFile(source.file);
    if (bytes.length <= LONGEST_SECRET) return { secret: secretOf(bytes) };
    return { secret: null, problem: 'too long', why: `has ${bytes.length} bytes` };
  } catch (error) {
    return { secret: null, problem: 'unreadable', why: `can't be read: ${nativeCode(error) ?? 'unknown error'}` };
  }
}

/** One line break at the end belongs to the tool that wrote it; spaces may be the secret's own. */
export function secretOf(bytes: Buffer): Secret {
  return new Secret(
    bytes
      .toString('utf8')
      .replace(/\r?\n$/, '')
      .replace(/^\uFEFF/, ''),
  );
}
