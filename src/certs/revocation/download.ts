/** One download of a CRL by http, bounded in size and time; what a server sends instead of one is said in words. */
import type { Socket } from 'node:net';
import { type Authority, authorityOf } from '../../core/authority.ts';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { printable } from '../../core/facts.ts';
import type { Crl } from '../../core/revocation/crl.ts';
import { CrlUnusable, MOST_CRL_BYTES, readCrls } from './files.ts';

/** Opens a TCP connection to the server, or to the proxy on the way: then `fields` are what the proxy needs, else null. */
export type ConnectPlain = (
  authority: Authority,
) => Promise<{ readonly socket: Socket; readonly fields: readonly string[] | null }>;

export interface Download {
  readonly bytes: Buffer;
  readonly crls: readonly Crl[];
}

/**
 * @param signal the limit for all of it
 * @throws CrlUnusable with a sentence that names the URL
 */
export async function download(url: string, connect: ConnectPlain, signal: AbortSignal): Promise<Download> {
  try {
    const bytes = await get(url, connect, signal);
    return { bytes, crls: await readCrls(bytes, url) };
  } catch (error) {
    throw new CrlUnusable(printable(error instanceof CrlUnusable ? error.message : whyFailed(error, url), 500), {
      cause: error,
    });
  }
}

async function get(url: string, connect: ConnectPlain, signal: AbortSignal): Promise<Buffer> {
  const { Client } = await import('undici');
  const { origin, hostname, port, pathname, search } = new URL(url);
  const authority = authorityOf(hostname.replace(/^\[|\]$/g, ''), Number(port || 80));
  const { socket, fields } = await within(signal, connect(authority));
  const client = new Client(origin, {
    // Not at once: undici (8.12) marks the client as connecting after it has asked.
    connect: (_options, done) => queueMicrotask(() => done(null, socket)),
    allowH2: false,
    maxResponseSize: MOST_CRL_BYTES,
    // The signal is the limit for all of it.
    headersTimeout: 0,
    bodyTimeout: 0,
    connectTimeout: 0,
  });
  try {
    const target = `${fields ? origin : ''}${pathname}${search}`;
    const headers = ['accept', 'application/pkix-crl, */*', ...(fields ?? [])];
    const response = await within(signal, client.request({ method: 'GET', path: target, headers, signal }));
    const { statusCode, body } = response;
    if (statusCode !== 200) throw new CrlUnusable(`${url} answered ${statusCode}`);
    return Buffer.from(await within(signal, body.arrayBuffer()));
  } finally {
    socket.destroy();
    await client.destroy();
  }
}

function whyFailed(error: unknown, url: string): string {
  const { name, code } = error as { name?: string; code?: string };
  if (name === 'TimeoutError') return `${url} did not answer in time`;
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return `${url} sent more than ${MOST_CRL_BYTES / 1024 / 1024} MiB`;
  if (name === 'HTTPParserError') return `${url} sent something that is not HTTP`;
  // Of several mistakes in a file the first.
  if (error instanceof MtlsdError) return `${url} can't be fetched: ${error.message.split('\n')[0]}`;
  return `${url} can't be fetched: ${nativeCode(error) ?? (error as Error).message}`;
}

/** Settles when the signal does, whatever the promise does; a socket that comes too late is closed. */
function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
      promise.then(
        (late) => (late as { socket?: Socket }).socket?.destroy(),
        () => {},
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
