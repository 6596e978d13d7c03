/** Another proxy on the way out: which one for an authority, and a tunnel through it (RFC 9110 §9.3.6). */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { secureContextFor, type TrustAnchors } from '../../certs/trust.ts';
import type { Authority } from '../../core/authority.ts';
import { ERROR_CODES, MtlsdError } from '../../core/errors.ts';
import { printable } from '../../core/facts.ts';
import { WITHOUT_CRLS } from '../../core/revocation/book.ts';
import type { Secret } from '../../core/secret.ts';
import { ResponseReader, type ResponseHead } from '../../http1/reader.ts';
import { requestHead } from '../../http1/write.ts';
import { judge } from '../../inspect/verify/verdict.ts';
import { handshake } from '../../tls/handshake.ts';
import { verifyError } from '../../tls/observed.ts';
import { peerChain } from '../../tls/peer-chain.ts';
import { handshakeError, rejected } from '../failure/refusal.ts';
import { connectTcp, type TcpConnection, type TcpOptions } from './tcp.ts';

export interface UpstreamProxy {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  /** `user:password`, for Basic (RFC 7617). */
  readonly credentials: Secret | null;
  /** By which an https proxy is verified. */
  readonly trust: TrustAnchors;
}

export interface ProxyChoice {
  /** null for none: connect directly. */
  (authority: Authority): UpstreamProxy | null;
}

/** As it may be shown. */
export const proxyName = ({ scheme, authority }: Pick<UpstreamProxy, 'scheme' | 'authority'>): string =>
  `${scheme}://${authority.text}`;

/** Flat fields that a request to the proxy itself needs. */
export function proxyFields({ credentials }: UpstreamProxy): string[] {
  return credentials ? ['Proxy-Authorization', `Basic ${Buffer.from(credentials.reveal()).toString('base64')}`] : [];
}

/**
 * A connection to the proxy, TLS already on it where it speaks that.
 * @throws MtlsdError as connectTcp does; UPSTREAM_PROXY_FAILED where its own TLS fails
 */
export async function connectToProxy(proxy: UpstreamProxy, options: TcpOptions): Promise<TcpConnection> {
  const tcp = await connectTcp(proxy.authority, options).catch((error: MtlsdError) => {
    throw asProxyFailure(proxy, error);
  });
  if (proxy.scheme === 'http') return tcp;
  const { authority, trust } = proxy;
  const where = authority.text;
  const { socket, failure, staple } = await handshake({
    transport: tcp.socket,
    secureContext: secureContextFor({ identity: null, trust, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }),
    serverName: authority.host,
    alpn: ['http/1.1'],
    timeoutMs: options.timeoutMs,
    askStaple: true,
  });
  const error =
    failure === null
      ? mistrust(socket, staple, proxy)
      : handshakeError({ where, name: null, requested: null, sent: false, issuer: null }, failure);
  if (!error) return { ...tcp, socket };
  socket.destroy();
  throw asProxyFailure(proxy, error);
}

/** What speaks against the proxy's certificate. */
function mistrust(socket: TLSSocket, staple: Buffer | null, { authority, trust }: UpstreamProxy): MtlsdError | null {
  const leaf = socket.getPeerX509Certificate();
  const verdict = judge(
    {
      // A chain that OpenSSL accepts is not read: each reading loses memory (docs/decisions/0002-reading-chains.md).
      chain: socket.authorized && leaf ? [leaf] : peerChain(socket),
      opensslError: verifyError(socket),
      host: authority.host,
      protocol: socket.getProtocol() ?? 'unknown',
      staple,
      authority,
    },
    {
      mode: 'enforce',
      anchors: trust.certificates,
      allow: [],
      pins: [],
      minVersion: 'TLSv1.2',
      revocation: WITHOUT_CRLS,
    },
  );
  return verdict.proceed ? null : rejected(authority.text, verdict);
}

/**
 * A tunnel to the authority through the proxy.
 * @throws MtlsdError UPSTREAM_PROXY_AUTHENTICATION, UPSTREAM_PROXY_FAILED, CONNECTION_TIMEOUT
 */
export async function tunnelThrough(
  proxy: UpstreamProxy,
  authority: Authority,
  options: TcpOptions,
): Promise<TcpConnection> {
  const started = performance.now();
  const connection = await connectToProxy(proxy, options);
  const { socket } = connection;
  socket.write(requestHead('CONNECT', authority.text, ['Host', authority.text, ...proxyFields(proxy)]), 'latin1');
  try {
    const { status, reason } = await readAnswer(socket, options.timeoutMs, proxy);
    if (status === 407) {
      const message = `the upstream proxy ${proxyName(proxy)} ${proxy.credentials ? 'does not accept the credentials' : 'wants credentials'} (407)`;
      throw new MtlsdError('UPSTREAM_PROXY_AUTHENTICATION', message, { nothingSent: true });
    }
    if (status < 200 || status > 299) {
      const message = `the upstream proxy ${proxyName(proxy)} refused a tunnel to ${authority.text}: ${status} ${printable(reason, 100)}`;
      // 504 and the like are its word on the origin, not on itself.
      const hint =
        status >= 500
          ? `the proxy can't reach ${authority.text}; try it from there`
          : ERROR_CODES.UPSTREAM_PROXY_FAILED.hint;
      throw new MtlsdError('UPSTREAM_PROXY_FAILED', message, { nothingSent: true, hint });
    }
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return { socket, ms: { dns: connection.ms.dns, connect: performance.now() - started - connection.ms.dns } };
}

/** Fields as long as this are no proxy's. */
const MAX_HEAD_BYTES = 16 * 1024;

/** The final answer to CONNECT; what comes after it stays in the socket. */
function readAnswer(socket: Socket, timeoutMs: number, proxy: UpstreamProxy): Promise<ResponseHead> {
  return new Promise((resolve, reject) => {
    const reader = new ResponseReader({ headBytes: MAX_HEAD_BYTES });
    reader.expect('CONNECT');
    const name = proxyName(proxy);
    const failed = (said: string): MtlsdError =>
      new MtlsdError('UPSTREAM_PROXY_FAILED', `the upstream proxy ${name} ${said}`, { nothingSent: true });
    const finish = (error: MtlsdError | null, head?: ResponseHead): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onEnd).off('end', onEnd).off('close', onEnd);
      socket.pause();
      if (error || !head) return reject(error ?? failed('gave no answer'));
      const rest = reader.takeRest();
      if (rest.byteLength > 0) socket.unshift(rest);
      resolve(head);
    };
    const onEnd = (): void => finish(failed('closed the connection before it answered CONNECT'));
    const onData = (bytes: Buffer): void => {
      try {
        reader.feed(bytes);
        for (let event = reader.next(); event; event = reader.next())
          if (event.kind === 'head' && event.head.status >= 200) return finish(null, event.head);
      } catch {
        finish(failed('answered CONNECT with something that is not HTTP'));
      }
    };
    const timer = setTimeout(
      () =>
        finish(
          new MtlsdError('CONNECTION_TIMEOUT', `the upstream proxy ${name} did not answer CONNECT in time`, {
            nothingSent: true,
          }),
        ),
      timeoutMs,
    );
    socket.on('data', onData).once('error', onEnd).once('end', onEnd).once('close', onEnd);
  });
}

/** Time-outs keep their code; whatever else is wrong with the way to the proxy is the proxy's failure, not the origin's. */
function asProxyFailure(proxy: UpstreamProxy, error: MtlsdError): MtlsdError {
  if (error.code === 'CONNECTION_TIMEOUT' || error.code === 'LOOP_DETECTED') return error;
  return new MtlsdError(
    'UPSTREAM_PROXY_FAILED',
    `the upstream proxy ${proxyName(proxy)} can't be used: ${error.message}`,
    { nothingSent: true, cause: error },
  );
}
