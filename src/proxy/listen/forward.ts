/**
 * Request targets (RFC 9112 §3.2). On the proxy's own port they are absolute: `https://` originates TLS with the certificate,
 * for clients that can't trust a CA; `http://` continues in the clear and never with a certificate.
 */
import { type Authority, parseAuthority } from '../../core/authority.ts';
import { MtlsdError } from '../../core/errors.ts';
import type { RequestHead } from '../../http1/reader.ts';

export interface AbsoluteTarget {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  /** Origin-form. */
  readonly path: string;
}

/** @throws MtlsdError BAD_REQUEST where it is no absolute http or https URI, BAD_AUTHORITY */
export function parseAbsoluteForm(target: string): AbsoluteTarget {
  const match = /^(https?):\/\/([^/?#]*)([^#]*)$/i.exec(target);
  if (!match) throw notAbsolute(target);
  const scheme = match[1]?.toLowerCase() === 'https' ? 'https' : 'http';
  // RFC 9110 §4.2.4: user information in a URI is an attack more often than a login; it is no authority either.
  const text = match[2] ?? '';
  const port = /:(\d{1,5})$/.exec(text)?.[1];
  const host = port === undefined ? text.replace(/:$/, '') : text.slice(0, -port.length - 1);
  const authority = parseAuthority(port === undefined ? host : `${host}:${port}`, scheme === 'https' ? 443 : 80);
  const path = match[3] ?? '';
  return { scheme, authority, path: path.startsWith('/') ? path : `/${path}` };
}

/**
 * Inside a connection a request has origin-form; absolute-form of the same authority must be taken too (§3.2.2).
 * @throws MtlsdError MISDIRECTED_REQUEST, BAD_REQUEST
 */
export function originFormOf({ method, target }: RequestHead, authority: Authority): string {
  if (target.startsWith('/')) return target;
  if (target === '*') {
    if (method === 'OPTIONS') return target;
    throw new MtlsdError(
      'BAD_REQUEST',
      `the target * is for OPTIONS alone, not for ${method.slice(0, 20)} (RFC 9112 §3.2.4)`,
    );
  }
  const absolute = parseAbsoluteForm(target);
  if (absolute.authority.text === authority.text) return absolute.path;
  throw new MtlsdError(
    'MISDIRECTED_REQUEST',
    `a request for ${absolute.authority.text} came on a connection to ${authority.text}`,
  );
}

function notAbsolute(target: string): MtlsdError {
  return new MtlsdError('BAD_REQUEST', `${JSON.stringify(target.slice(0, 100))} is not a request to a proxy`, {
    hint: 'this port is a proxy: set HTTPS_PROXY to it, and give your client the real URL; the admin API has its own port',
  });
}
