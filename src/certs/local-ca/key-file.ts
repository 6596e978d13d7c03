/** The file of the local CA's key: 0600, encrypted where the settings have a passphrase. */
import type { KeyObject } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { badConfiguration, CodedError, nativeCode } from '../../core/errors.ts';
import { octal } from '../../core/files/own-folder.ts';
import type { Secret } from '../../core/secret.ts';
import { sealKey } from '../identity/decoder.ts';
import { openKey } from '../identity/load.ts';
import type { KeyPart } from '../identity/parts.ts';
import { type PassphraseSource, readPassphrase } from '../identity/passphrase.ts';

export interface StoredKey {
  readonly key: KeyObject;
  readonly encrypted: boolean;
}

/**
 * @param part of the file; undefined where it holds no key
 * @param anew how to go on without it
 * @throws MtlsdError BAD_CONFIGURATION where the passphrase does not open it
 */
export async function openStoredKey(
  part: KeyPart | undefined,
  file: string,
  passphrase: Secret | null,
  anew: string,
): Promise<StoredKey> {
  if (!part) throw badConfiguration(`${file} holds no private key`, anew);
  const encrypted = part.form !== 'plain';
  if (encrypted && passphrase === null)
    throw badConfiguration(
      `${file} is encrypted, and mtlsd.yaml has no passphrase for it`,
      'set ca.passphrase: { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
    );
  try {
    return { key: await openKey(part, passphrase, file), encrypted };
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { code, message, hint } = error;
    if (code === 'PASSPHRASE_WRONG')
      throw badConfiguration(`ca.passphrase does not open the key in ${file}`, `${hint}; without it, ${anew}`, error);
    throw badConfiguration(message, anew, error);
  }
}

/** PEM, as it is written: encrypted where there is a passphrase. */
export async function keyText(key: KeyObject, passphrase: Secret | null): Promise<string> {
  return passphrase ? sealKey(key, passphrase) : key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** @throws MtlsdError BAD_CONFIGURATION */
export async function readCaPassphrase(source: PassphraseSource | null): Promise<Secret | null> {
  if (source === null) return null;
  const passphrase = await readPassphrase(source).catch((error: unknown) => {
    if (!(error instanceof CodedError)) throw error;
    throw badConfiguration(`ca.passphrase: ${error.message}`, error.hint);
  });
  if (passphrase.reveal() !== '') return passphrase;
  throw badConfiguration(
    'ca.passphrase: it is empty',
    'write a passphrase where ca.passphrase says, or take it out of mtlsd.yaml',
  );
}

/** null where it isn't there. The open file is checked, not its name, so that nothing is swapped in between. */
export async function readOwnFile(file: string): Promise<Buffer | null> {
  const handle = await open(file, constants.O_RDONLY).catch((error: unknown) => {
    if (nativeCode(error) === 'ENOENT') return null;
    throw badConfiguration(`${file} can't be read`, `check that you own it: ls -l ${file}`, error);
  });
  if (!handle) return null;
  try {
    const { mode, uid } = await handle.stat();
    if (process.platform !== 'win32') {
      if (uid !== process.getuid?.()) {
        throw badConfiguration(`${file} belongs to another user`, `run mtlsd as its owner, or: chown it to yourself`);
      }
      if (mode & 0o077) {
        throw badConfiguration(
          `${file} can be used by others (mode ${octal(mode)}), who could pose as any server to your clients`,
          `if nobody could have read it: chmod 600 ${file}; else remove it and ca.pem, and trust the new CA`,
        );
      }
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
