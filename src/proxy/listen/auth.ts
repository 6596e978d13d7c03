/** Proxy credentials (RFC 7617): the user name is the profile; the password is the proxy's or the user's, as the settings say. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { MtlsdError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

export interface Credentials {
  /**
   * @param field the Proxy-Authorization field
   * @throws MtlsdError PROXY_AUTHENTICATION_REQUIRED
   */
  check(field: string | undefined): { readonly profile: string | undefined };
}

/** One password for all clients, or one for each user; null where none is required. */
export type Passwords = Secret | ReadonlyMap<string, Secret> | null;

export function credentials(passwords: Passwords): Credentials {
  // Digests are of one length, as timingSafeEqual needs, and do not show the password's length.
  const wantedOf = wantedBy(passwords);
  return {
    check(field) {
      const given = field === undefined ? null : decode(field);
      const wanted = wantedOf(given?.user ?? '');
      if (wanted && !(given && timingSafeEqual(sha256(given.password), wanted)))
        throw new MtlsdError(
          'PROXY_AUTHENTICATION_REQUIRED',
          given ? 'the proxy password is wrong' : 'this proxy requires a password',
        );
      return { profile: given?.user || undefined };
    },
  };
}

function wantedBy(passwords: Passwords): (user: string) => Buffer | null {
  if (passwords === null) return () => null;
  if (!('get' in passwords)) {
    const wanted = sha256(passwords.reveal());
    return () => wanted;
  }
  const users = new Map([...passwords].map(([user, password]) => [user, sha256(password.reveal())]));
  // A random one for unknown names: they take as long, and the refusal is the same.
  const never = randomBytes(32);
  return (user) => users.get(user) ?? never;
}

function decode(field: string): { user: string; password: string } | null {
  const [, encoded] = /^basic\s+([a-z0-9+/=]+)\s*$/i.exec(field) ?? [];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
