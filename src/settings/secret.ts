import { badConfiguration } from '../core/errors.ts';
import { readSecret, type SecretSource } from '../core/read-secret.ts';
import type { Secret } from '../core/secret.ts';
import type { AuthSettings } from './load.ts';

/**
 * @param setting that names the source, for the message
 * @throws MtlsdError BAD_CONFIGURATION where it holds nothing
 */
export async function settingSecret(source: SecretSource, setting: string): Promise<Secret> {
  const reading = await readSecret(source);
  if (reading.secret && reading.secret.reveal() !== '') return reading.secret;
  const place = 'env' in source ? `the variable ${source.env}` : source.file;
  throw badConfiguration(
    `${setting}: ${place} ${reading.secret ? 'holds nothing' : reading.why}`,
    `set it, or take ${setting} out of mtlsd.yaml`,
  );
}

/** One password for all, or one a user. @throws MtlsdError BAD_CONFIGURATION */
export async function settingPasswords(auth: AuthSettings): Promise<Secret | ReadonlyMap<string, Secret> | null> {
  if (auth === null) return null;
  if ('password' in auth) return settingSecret(auth.password, 'auth.password');
  const users = new Map<string, Secret>();
  for (const [user, source] of auth.users) users.set(user, await settingSecret(source, `auth.users.${user}`));
  return users;
}
