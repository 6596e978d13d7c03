/**
 * Absolute-form requests (RFC 9112 §3.2.2) on the proxy's own port: `https://` originates TLS with the certificate, for
 * clients that can't trust a CA; `http://` goes on in the clear and never with a certificate.
 */
import { type Authority, authorityOf } from '../core/authority.ts';
import { MtlsdError } from '../core/errors.ts';

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
  const authority = authorityOf(host, port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port));
  const path = match[3] ?? '';
  return { scheme, authority, path: path.startsWith('/') ? path : `/${path}` };
}

function notAbsolute(target: string): MtlsdError {
  return new MtlsdError('BAD_REQUEST', `${JSON.stringify(target.slice(0, 100))} is not a request to a proxy`, {
    hint: 'this port is a proxy: set HTTPS_PROXY to it, and give your client the real URL; the admin API has its own port',
  });
}
