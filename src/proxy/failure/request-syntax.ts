/** Bytes of a client that are not an HTTP/1.1 request: what they are, if it shows, and what to change. */
import { MtlsdError } from '../../core/errors.ts';
import type { Http1Error } from '../../http1/errors.ts';

/** By the first byte on the proxy's port. */
const OTHER_PROTOCOLS: readonly (readonly [first: RegExp, message: string, hint: string])[] = [
  [
    /^byte 0x16 in a method/,
    'the client starts TLS with the proxy, which expects plain HTTP on this port',
    "write http://, not https://, in the proxy's address: HTTPS_PROXY=http://HOST:PORT",
  ],
  [
    /^byte 0x0[45] in a method/,
    'the client speaks SOCKS on the port of the HTTP proxy',
    'use http:// in the proxy address, or set socks in mtlsd.yaml and use that port',
  ],
];

/** @param onProxyPort where a client can take the proxy for one of another kind */
export function explainSyntax(error: Http1Error, headerBytes: number, onProxyPort: boolean): MtlsdError {
  if (error.code === 'HEAD_TOO_LARGE')
    return new MtlsdError('REQUEST_TOO_LARGE', `the request's fields exceed ${headerBytes} bytes`);
  const other = onProxyPort ? OTHER_PROTOCOLS.find(([first]) => first.test(error.message)) : undefined;
  if (other) return new MtlsdError('BAD_REQUEST', other[1], { hint: other[2] });
  return new MtlsdError('BAD_REQUEST', `the request is not HTTP/1.1 as RFC 9112 has it: ${error.message}`);
}
