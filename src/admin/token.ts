/** The token of the admin API, which the command line reads from the home folder. */
import { randomBytes } from 'node:crypto';
import { chmod, readFile, stat } from 'node:fs/promises';
import { badConfiguration } from '../core/errors.ts';
import { createFile } from '../core/files/atomic-write.ts';
import { Secret } from '../core/secret.ts';

/** Made on first start, 0600; 256 bits are beyond guessing. */
export async function adminToken(path: string): Promise<Secret> {
  const made = randomBytes(32).toString('base64url');
  if (await createFile(path, `${made}\n`, 0o600)) {
    await chmod(path, 0o600); // whatever the umask took
    return new Secret(made);
  }
  if (((await stat(path)).mode & 0o077) !== 0)
    throw badConfiguration(
      `${path} is readable by others than its owner`,
      `chmod 600 ${path}, or remove it and a new one is made`,
    );
  const text = (await readFile(path, 'utf8')).trim();
  if (text.length < 20)
    throw badConfiguration(`${path} holds no token of at least 20 characters`, 'remove it and a new one is made');
  return new Secret(text);
}
