import { stat } from 'node:fs/promises';
import { badConfiguration } from '../errors.ts';

/**
 * Refuses a folder in which another user may replace our files: keys, settings, certificates.yaml.
 * @throws MtlsdError BAD_CONFIGURATION with the command that fixes it
 */
export async function requireOwnFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return; // no such bits; the profile's ACL guards it
  const { mode, uid } = await stat(dir);
  if (uid !== process.getuid?.())
    throw badConfiguration(`${dir} belongs to another user`, 'run mtlsd as that user, or chown it to yourself');
  if (mode & 0o022) throw badConfiguration(`${dir} can be written by others (mode ${octal(mode)})`, `chmod 700 ${dir}`);
}

/** The permissions, as chmod takes them: `0755`. */
export function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
