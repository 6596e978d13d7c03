/** Native errors of sockets and TLS to ours: the one place that knows their codes, one integration test per code. */
import { type ErrorCode, type ErrorData, MtlsdError, nativeCode } from '../../core/errors.ts';

/** Which step failed decides what the same native code means. */
export type Step = 'connect' | 'tls';

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

/** OpenSSL's words for an answer that is not TLS. */
const PLAIN = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

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
  const isPlain = PLAIN.has(code) ? { hint: `if the server speaks plain HTTP there, use http://${where}/` } : {};
  return new MtlsdError('TLS_FAILED', tlsSentence(code, said, where), { nothingSent: true, ...isPlain, ...cause });
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
  if (PLAIN.has(code)) return `${where} does not speak TLS on this port`;
  // OpenSSL: "error:0A000410:SSL routines:ssl3_read_bytes:…:../deps/…:SSL alert number 40"; its reason is the useful part.
  const reason = /^(?:[0-9A-F]+:)?error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/.exec(said)?.[1] ?? said;
  return `the TLS handshake with ${where} failed: ${reason}`;
}
