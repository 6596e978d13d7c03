/**
 * HTTP with a CA: one verified connection for one attempt. The CA's answer is bounded in size and in time. Redirects are not
 * followed: a request that carries a certificate goes only where the store says.
 */
import type { Socket } from 'node:net';
import { type Authority, authorityOf } from '../../core/authority.ts';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { asRenewalFault, RenewalFault, said } from './fault.ts';
import { parseRetryAfter } from './schedule.ts';

/** Opens a verified TLS connection; rejects with an MtlsdError that says why there is none. */
export type ConnectToCa = (authority: Authority) => Promise<Socket>;

/** A chain of RSA-4096 certificates has 10 KiB, and a list of CA certificates some dozens of those. */
const MOST_BODY_BYTES = 256 * 1024;
const MOST_FIELDS_BYTES = 16 * 1024;

export interface CaRequest {
  readonly method: 'GET' | 'POST';
  /** Appended to the path of the CA's URL. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface CaAnswer {
  readonly status: number;
  /** Lower case, without parameters; '' where there is none. */
  readonly contentType: string;
  readonly retryAfterMs: number | null;
  readonly body: Buffer;
}

export interface CaClient {
  /** For messages: the URL of the CA. */
  readonly url: string;
  /**
   * @throws RenewalFault CA_UNREACHABLE, CA_TIMEOUT, CA_ANSWER_INVALID; CA_REFUSED for a redirect
   */
  ask(request: CaRequest): Promise<CaAnswer>;
  close(): Promise<void>;
}

/**
 * @param url https, without query; see `caUrl`
 * @param signal ends everything that is under way
 */
export async function openCa(url: URL, connect: ConnectToCa, signal: AbortSignal): Promise<CaClient> {
  const { Client } = await import('undici');
  const authority = authorityOf(url.hostname, Number(url.port || 443));
  let failure: unknown = null;
  const client = new Client(url.origin, {
    connect: (_options, done) => {
      connect(authority).then(
        (socket) => {
          if (signal.aborted) socket.destroy();
          else done(null, socket);
        },
        (error: Error) => {
          failure = error;
          done(error, null);
        },
      );
    },
    allowH2: false,
    maxResponseSize: MOST_BODY_BYTES,
    maxHeaderSize: MOST_FIELDS_BYTES,
    // The signal is the limit for all of it; undici's own would end sooner and say less.
    headersTimeout: 0,
    bodyTimeout: 0,
    connectTimeout: 0,
  });
  const base = url.href.replace(/\/$/, '');
  return {
    url: url.href,
    async ask({ method, path, headers = {}, body }) {
      try {
        const response = await within(
          signal,
          client.request({ method, path: new URL(`${base}/${path}`).pathname, headers, body: body ?? null, signal }),
        );
        const bytes = Buffer.from(await within(signal, response.body.arrayBuffer()));
        const field = (name: string): string | null => {
          const value = response.headers[name];
          return (Array.isArray(value) ? value[0] : value) ?? null;
        };
        const status = response.statusCode;
        if (status >= 300 && status < 400) throw redirected(url, status, field('location'));
        return {
          status,
          contentType: (field('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
          retryAfterMs: parseRetryAfter(field('retry-after'), Date.now()),
          body: bytes,
        };
      } catch (error) {
        throw explained(error, failure, url, signal);
      }
    },
    close: () => client.destroy(),
  };
}

/** Rejects when the signal aborts, even if the promise is still pending: a connection without an end must not block a renewal. */
function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function explained(error: unknown, connecting: unknown, { host }: URL, signal: AbortSignal): RenewalFault {
  if (error instanceof RenewalFault) return error;
  if (signal.aborted) return new RenewalFault('CA_TIMEOUT', `${host} did not answer in time`, { cause: error });
  if (error === connecting && error instanceof MtlsdError) return asRenewalFault(error);
  if (error === connecting)
    return new RenewalFault('CA_UNREACHABLE', `${host} can't be reached: ${nativeCode(error) ?? 'unknown error'}`, {
      cause: error,
    });
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return invalid(`${host} sent more than ${MOST_BODY_BYTES / 1024} KiB`, error);
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return invalid(`${host} sent fields of more than 16 KiB`, error);
  if ((error as Error).name === 'HTTPParserError' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
    return invalid(`${host} sent something that is not HTTP`, error);
  return new RenewalFault('CA_UNREACHABLE', `${host} closed the connection before it answered`, { cause: error });
}

function invalid(message: string, cause: unknown): RenewalFault {
  return new RenewalFault('CA_ANSWER_INVALID', message, { cause });
}

function redirected({ host }: URL, status: number, location: string | null): RenewalFault {
  const target = location === null ? 'nowhere' : said(location);
  return new RenewalFault(
    'CA_REFUSED',
    `${host} answered ${status}, a redirect to ${target}; redirects are not followed`,
    {
      hint: 'write the final URL under renew:',
    },
  );
}

/** An unsuccessful answer, with the words of the CA. */
export function refusedBy(url: string, { status, body, retryAfterMs }: CaAnswer, words: string): RenewalFault {
  const text = words === '' ? '' : `: ${said(words)}`;
  const empty = body.length === 0 ? ' without a word' : '';
  return new RenewalFault('CA_REFUSED', `${url} answered ${status}${text === '' ? empty : text}`, { retryAfterMs });
}
