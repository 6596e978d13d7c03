/** The part of mtlsd.yaml about the local CA. */
import { join, resolve } from 'node:path';
import { type CaReach, caReach, WITHOUT_LIMITS } from '../core/ca-reach.ts';
import { badConfiguration, type MtlsdError } from '../core/errors.ts';
import { OWN_NAME } from '../core/own-name.ts';
import type { ProgramSource, SecretSource } from '../core/read-secret.ts';
import type { SettingsFile } from './schema.ts';
import { passphraseSource } from './secret-source.ts';

export interface CaSettings {
  /** Of a CA that mtlsd makes. */
  readonly reach: CaReach;
  readonly outside: 'passthrough' | 'refuse';
  /** The user's own in its place. Absolute paths; `key` is null where it is in the same file. */
  readonly own: { readonly cert: string; readonly key: string | null } | null;
  /** Opens the key; encrypts that of a CA that mtlsd makes. */
  readonly passphrase: SecretSource | ProgramSource | null;
}

/**
 * @param path of mtlsd.yaml, for messages
 * @throws MtlsdError BAD_CONFIGURATION
 */
export function caSettings(
  written: SettingsFile['ca'],
  outside: CaSettings['outside'],
  home: string,
  path: string,
): CaSettings {
  const { permitted, cert, key, passphrase } = written ?? {};
  const wrong = (setting: string, message: string, hint: string): MtlsdError =>
    badConfiguration(`ca.${setting} in ${path}: ${message}`, hint);
  if (key !== undefined && cert === undefined)
    throw wrong('key', 'there is no certificate with it', 'name the certificate under ca.cert');
  if (permitted !== undefined && cert !== undefined)
    throw wrong(
      'permitted',
      'it limits a CA that mtlsd makes, and ca.cert names your own',
      'take it out; the name constraints of your CA limit it',
    );
  const at = (setting: 'cert' | 'key', file: string): string => {
    const absolute = resolve(home, file);
    if (!absolute.startsWith(join(home, 'ca/'))) return absolute;
    throw wrong(
      setting,
      `${absolute} is where mtlsd keeps its own files`,
      `move it elsewhere, such as ${home}/own-ca/`,
    );
  };
  const reach = permitted === undefined ? WITHOUT_LIMITS : caReach(permitted, OWN_NAME);
  if ('wrong' in reach)
    throw wrong(
      'permitted',
      `${JSON.stringify(reach.wrong)} is not a host, address or subnet`,
      'write for example corp.example, which covers every name below it, or 10.0.0.0/8',
    );
  return {
    reach,
    outside,
    own: cert === undefined ? null : { cert: at('cert', cert), key: key === undefined ? null : at('key', key) },
    passphrase: passphrase === undefined ? null : passphraseSource(passphrase, home),
  };
}
