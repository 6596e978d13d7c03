/** Native errors of sockets, TLS and undici to ours: the one place that knows their codes, one integration test per code. */
import { type ErrorCode, type ErrorData, MtlsdError, nativeCode } from '../../core/errors.ts';
import { StreamReset } from './request.ts';

/** Which step failed decides what the same native code means. */
export type Step = 'connect' | 'tls' | 'http';

const CONNECT_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOTFOUND: 'DNS_FAILED',
  ENODATA: 'DNS_FAILED',
  EAI_AGAIN: 'DNS_TIMEOUT',
  EAI_FAIL: 'DNS_FAILED',
  EAI_NODATA: 'DNS_FAILED',
  EAI_NONAME: 'DNS_FAILED',
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ETIMEDOUT: 'CONNECTION_TIMEOUT',
  EHOSTUNREACH: 'CONNECTION_FAILED',
  ENETUNREACH: 'CONNECTION_FAILED',
  EHOSTDOWN: 'CONNECTION_FAILED',
  ENETDOWN: 'CONNECTION_FAILED',
  EADDRNOTAVAIL: 'CONNECTION_FAILED',
  EACCES: 'CONNECTION_FAILED',
  EPERM: 'CONNECTION_FAILED',
  EINVAL: 'CONNECTION_FAILED',
  ECONNRESET: 'CONNECTION_CLOSED',
  EPIPE: 'CONNECTION_CLOSED',
};

const HTTP_CODES: Readonly<Record<string, ErrorCode>> = {
  UND_ERR_SOCKET: 'CONNECTION_CLOSED',
  UND_ERR_HEADERS_TIMEOUT: 'RESPONSE_TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'RESPONSE_TIMEOUT',
  UND_ERR_HEADERS_OVERFLOW: 'RESPONSE_INVALID',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'RESPONSE_INVALID',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'BAD_REQUEST',
  UND_ERR_INVALID_ARG: 'BAD_REQUEST',
  UND_ERR_NOT_SUPPORTED: 'BAD_REQUEST',
  UND_ERR_DESTROYED: 'CONNECTION_CLOSED',
  UND_ERR_CLOSED: 'CONNECTION_CLOSED',
  ECONNRESET: 'CONNECTION_CLOSED',
  EPIPE: 'CONNECTION_CLOSED',
  ETIMEDOUT: 'CONNECTION_TIMEOUT',
};

/** @param where the authority, for the sentence */
export function classify(error: unknown, step: Step, where: string, data: ErrorData = {}): MtlsdError {
  if (error instanceof MtlsdError) return error;
  // Several addresses were tried (RFC 8305): the first attempt's error speaks for them.
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const code = nativeCode(error) ?? nativeCode(first) ?? '';
  const said = first instanceof Error ? first.message : String(first);
  const cause = { cause: error, ...data };
  if (step === 'connect') {
    return new MtlsdError(CONNECT_CODES[code] ?? 'CONNECTION_FAILED', connectSentence(code, said, where), {
      nothingSent: true,
      ...cause,
    });
  }
  if (step === 'tls')
    return new MtlsdError('TLS_FAILED', tlsSentence(code, said, where), { nothingSent: true, ...cause });
  // llhttp's own errors (HPE_…) say that what came is not HTTP.
  const known = HTTP_CODES[code] ?? (code.startsWith('HPE_') || isParserError(error) ? 'RESPONSE_INVALID' : undefined);
  if (known) return new MtlsdError(known, `${where}: ${said}`, cause);
  if (code.startsWith('ERR_SSL_')) return new MtlsdError('TLS_FAILED', tlsSentence(code, said, where), cause);
  if (error instanceof StreamReset) return new MtlsdError('CONNECTION_CLOSED', `${where}: ${said}`, cause);
  if (code.startsWith('ERR_HTTP2_')) return new MtlsdError('RESPONSE_INVALID', `${where}: ${said}`, cause);
  return new MtlsdError('INTERNAL', said, cause);
}

/** undici names its parser's errors by code only where llhttp has one (8.12). */
function isParserError(error: unknown): boolean {
  return error instanceof Error && error.name === 'HTTPParserError';
}

function connectSentence(code: string, said: string, where: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_NONAME':
    case 'EAI_NODATA':
    case 'ENODATA':
      return `the name of ${where} does not resolve (${code})`;
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
      return `the name servers gave no answer for ${where} (${code})`;
    case 'ECONNREFUSED':
      return `${where} refused the connection (${said})`;
    case 'ETIMEDOUT':
      return `${where} did not answer in time`;
    default:
      return `${where} can't be reached (${said})`;
  }
}

function tlsSentence(code: string, said: string, where: string): string {
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return `${where} closed the connection during the TLS handshake, without an alert`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return `${where} does not speak TLS on this port`;
  // OpenSSL: "error:0A000410:SSL routines:ssl3_read_bytes:…:../deps/…:SSL alert number 40"; its reason is the useful part.
  const reason = /^(?:[0-9A-F]+:)?error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/.exec(said)?.[1] ?? said;
  return `the TLS handshake with ${where} failed: ${reason}`;
}
