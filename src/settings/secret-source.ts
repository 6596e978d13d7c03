/** Where a secret of mtlsd.yaml is. */
import { resolve } from 'node:path';
import type { ProgramSource, SecretSource } from '../core/read-secret.ts';

/** As mtlsd.yaml has it: one of these. */
interface WrittenSecret {
  readonly env?: string;
  readonly file?: string;
}

export function secretSource({ env = '', file }: WrittenSecret, home: string): SecretSource {
  return file === undefined ? { env } : { file: resolve(home, file) };
}

export function passphraseSource(
  { command, ...secret }: WrittenSecret & { readonly command?: readonly string[] },
  home: string,
): SecretSource | ProgramSource {
  return command ? { command, cwd: home } : secretSource(secret, home);
}
