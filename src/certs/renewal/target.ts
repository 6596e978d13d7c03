/** The files that a renewal replaces, and whether it may. */
import { constants } from 'node:fs';
import { access, lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { nativeCode } from '../../core/errors.ts';
import { diagnosis, shellWord } from '../identity/diagnosis.ts';
import type { Diagnosis } from '../identity/identity.ts';
import type { PassphraseSource } from '../identity/passphrase.ts';

/** Absolute paths. `pem` has the key in a separate file, or with the certificate: then `key` is null. */
export type RenewalTarget = { readonly passphrase: PassphraseSource | null } & (
  | { readonly kind: 'pem'; readonly cert: string; readonly key: string | null }
  | { readonly kind: 'pfx'; readonly pfx: string; readonly alias: string | null }
);

export function filesOfTarget(target: RenewalTarget): string[] {
  if (target.kind === 'pfx') return [target.pfx];
  return target.key === null || target.key === target.cert ? [target.cert] : [target.key, target.cert];
}

/** The file that writers lock: two entries that share a certificate share it. */
export const mainFile = (target: RenewalTarget): string => (target.kind === 'pfx' ? target.pfx : target.cert);

/**
 * Why files can't be renewed in place, found at load rather than at the end of a lifetime; null where they can.
 */
export async function refusalOf(target: RenewalTarget): Promise<Diagnosis | null> {
  if (target.kind === 'pfx' && target.alias !== null)
    return refused(target.pfx, 'holds several keys, and the others would be lost', 'give this entry a PFX of its own');
  for (const file of filesOfTarget(target)) {
    const refusal = await refusalOfFile(file);
    if (refusal !== null) return refusal;
  }
  return null;
}

const elsewhere =
  'renew it where it comes from, and leave renew: out: the new files are used as soon as they are there (docs/renewal.md)';

async function refusalOfFile(file: string): Promise<Diagnosis | null> {
  try {
    if (await isSecretVolume(file)) return refused(file, 'is in a Kubernetes volume, which is read-only', elsewhere);
    const real = await realpath(file);
    await access(path.dirname(real), constants.W_OK);
    return refusalOfOwner(file, (await stat(real)).uid, process.geteuid?.());
  } catch (error) {
    return refusalOfAccess(file, nativeCode(error) ?? 'unknown error');
  }
}

/** @param code of the error that said so */
export function refusalOfAccess(file: string, code: string): Diagnosis | null {
  // The loader reports a missing file, with a better message.
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  if (code === 'EROFS') return refused(file, 'is on a file system that is mounted read-only', elsewhere);
  return refused(file, `is in a folder that the daemon can't write (${code})`, elsewhere);
}

/**
 * root keeps the owner of a file; another user's daemon would become its owner.
 * @param own undefined where there are no users (Windows)
 */
export function refusalOfOwner(file: string, owner: number, own: number | undefined): Diagnosis | null {
  if (own === undefined || own === 0 || own === owner) return null;
  return refused(file, `belongs to the user ${owner}, not to the daemon`, elsewhere);
}

/** The kubelet leads every name of a volume through the link `..data`, and would undo any other change. */
async function isSecretVolume(file: string): Promise<boolean> {
  const entry = path.join(path.dirname(file), '..data');
  try {
    return (await lstat(entry)).isSymbolicLink();
  } catch {
    return false;
  }
}

function refused(file: string, why: string, hint: string): Diagnosis {
  return diagnosis('RENEWAL_IMPOSSIBLE', file, `the certificate can't be renewed: ${shellWord(file)} ${why}`, hint);
}
