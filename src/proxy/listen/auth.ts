/** Proxy credentials (RFC 7617): the user name is the profile, the password is the proxy's, where the settings have one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { MtlsdError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

export interface Credentials {
  /**
   * @param field the Proxy-Authorization field
   * @throws MtlsdError PROXY_AUTHENTICATION_REQUIRED
   */
  check(field: string | undefined): { readonly profile: string | undefined };
}

export function credentials(password: Secret | null): Credentials {
  // Digests are of one length, as timingSafeEqual needs, and tell nothing of the password's.
  const wanted = password && sha256(password.reveal());
  return {
    check(field) {
      const given = field === undefined ? null : decode(field);
      if (wanted && !(given && timingSafeEqual(sha256(given.password), wanted)))
        throw new MtlsdError(
          'PROXY_AUTHENTICATION_REQUIRED',
          given ? 'the proxy password is wrong' : 'this proxy wants a password',
        );
      return { profile: given?.user || undefined };
    },
  };
}

function decode(field: string): { user: string; password: string } | null {
  const [, encoded] = /^basic\s+([a-z0-9+/=]+)\s*$/i.exec(field) ?? [];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
