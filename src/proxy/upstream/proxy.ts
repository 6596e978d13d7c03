/** Another proxy on the way out: which one for an authority, and a tunnel through it (RFC 9110 §9.3.6). */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientIdentity } from '../../certs/identity/identity.ts';
import { secureContextFor, type TrustAnchors } from '../../certs/trust.ts';
import type { Authority } from '../../core/authority.ts';
import { ERROR_CODES, MtlsdError } from '../../core/errors.ts';
import { printable } from '../../core/facts.ts';
import { WITHOUT_CRLS } from '../../core/revocation/book.ts';
import type { Secret } from '../../core/secret.ts';
import { ResponseReader, type ResponseHead } from '../../http1/reader.ts';
import { requestHead } from '../../http1/write.ts';
import { judge } from '../../inspect/verify/verdict.ts';
import { handshake, settleCapMs } from '../../tls/handshake.ts';
import { verifyError } from '../../tls/observed.ts';
import { peerChain } from '../../tls/peer-chain.ts';
import { isSendable, sharedAlgorithms, takenKeys } from '../../tls/sendable.ts';
import { handshakeError, type Presented, rejected } from '../failure/refusal.ts';
import { connectTcp, type TcpConnection, type TcpOptions } from './tcp.ts';

export interface UpstreamProxy {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  /** `user:password`, for Basic (RFC 7617). */
  readonly credentials: Secret | null;
  /** By which an https proxy is verified. */
  readonly trust: TrustAnchors;
  /** What an https proxy is shown that asks for a client certificate. */
  readonly identity: ClientIdentity | null;
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
 * A connection to the proxy for requests, TLS already on it where it speaks that.
 * @throws MtlsdError as connectTcp does; UPSTREAM_PROXY_FAILED where its own TLS fails, or it refuses our certificate
 */
export async function connectToProxy(proxy: UpstreamProxy, options: TcpOptions): Promise<TcpConnection> {
  const { presented, ...connection } = await openProxy(proxy, options);
  const refusal = presented && (await refusalOf(connection.socket, settleCapMs(connection.ms.connect)));
  if (!refusal) return connection;
  connection.socket.destroy();
  throw asProxyFailure(proxy, handshakeError(presented, refusal));
}

interface ProxyConnection extends TcpConnection {
  /** What became of our certificate; null where the proxy did not ask for one. */
  readonly presented: Presented | null;
}

async function openProxy(proxy: UpstreamProxy, options: TcpOptions): Promise<ProxyConnection> {
  const tcp = await connectTcp(proxy.authority, options).catch((error: MtlsdError) => {
    throw asProxyFailure(proxy, error);
  });
  if (proxy.scheme === 'http') return { ...tcp, presented: null };
  const { authority, trust, identity } = proxy;
  let presented = presentedTo(proxy, null);
  const { socket, failure, staple } = await handshake({
    transport: tcp.socket,
    secureContext: secureContextFor({ identity, trust, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }),
    serverName: authority.host,
    alpn: ['http/1.1'],
    timeoutMs: options.timeoutMs,
    onSeen: (seen) => {
      if (sharedAlgorithms(seen).length > 0) presented = presentedTo(proxy, seen);
    },
    askStaple: true,
  });
  if (failure === null && sharedAlgorithms(socket).length > 0) presented = presentedTo(proxy, socket);
  const error = failure === null ? mistrust(socket, staple, proxy) : handshakeError(presented, failure);
  if (!error) return { ...tcp, socket, presented: presented.requested === true ? presented : null };
  socket.destroy();
  throw asProxyFailure(proxy, error);
}

/** @param socket of a proxy that asked for a client certificate; null where that is not known */
function presentedTo({ authority, identity }: UpstreamProxy, socket: TLSSocket | null): Presented {
  const ours = identity?.facts[0] ?? null;
  const last = identity?.facts.at(-1);
  const sent = socket !== null && identity !== null && isSendable(identity.leaf.publicKey, socket);
  return {
    where: authority.text,
    name: ours && ours.subject,
    requested: socket && true,
    sent,
    issuer: last && !last.self_signed ? last.issuer : null,
    mismatch: socket && ours && !sent ? { ours: ours.key, takes: takenKeys(socket) } : null,
  };
}

/**
 * Why the proxy ended the connection after the handshake, which in TLS 1.3 is when it refuses a certificate (RFC 8446 §4.4.2.4);
 * null once it accepted, or is silent for so long that it is presumed to.
 */
function refusalOf(socket: Socket, capMs: number): Promise<Error | 'closed' | null> {
  return new Promise((resolve) => {
    const finish = (refusal: Error | 'closed' | null): void => {
      clearTimeout(timer);
      socket.off('session', onSession).off('error', finish).off('close', onClose);
      resolve(refusal);
    };
    const onClose = (): void => finish('closed');
    // Not at once: an alert may be in the same read (see connection.ts).
    const onSession = (): void => void setImmediate(() => finish(null));
    const timer = setTimeout(() => finish(null), capMs);
    socket.on('session', onSession).once('error', finish).once('close', onClose);
  });
}

/** What speaks against the proxy's certificate. */
function mistrust(socket: TLSSocket, staple: Buffer | null, { authority, trust }: UpstreamProxy): MtlsdError | null {
  // The leaf alone of a chain that OpenSSL accepts: each reading of a chain loses memory (docs/decisions/0002-reading-chains.md), and
  // there is one only, of the leaf too.
  const leaf = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  const verdict = judge(
    {
      chain: leaf ? [leaf] : peerChain(socket),
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
  const connection = await openProxy(proxy, options);
  const { socket, presented } = connection;
  socket.write(requestHead('CONNECT', authority.text, ['Host', authority.text, ...proxyFields(proxy)]), 'latin1');
  try {
    const { status, reason } = await readAnswer(socket, options.timeoutMs, proxy, presented);
    if (status === 407) {
      const message = `the upstream proxy ${proxyName(proxy)} ${proxy.credentials ? 'does not accept the credentials' : 'requires credentials'} (407)`;
      throw new MtlsdError('UPSTREAM_PROXY_AUTHENTICATION', message, { nothingSent: true });
    }
    if (status < 200 || status > 299) {
      const message = `the upstream proxy ${proxyName(proxy)} refused a tunnel to ${authority.text}: ${status} ${printable(reason, 100)}`;
      // 504 and similar statuses are about the origin, not about the proxy.
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
function readAnswer(
  socket: Socket,
  timeoutMs: number,
  proxy: UpstreamProxy,
  presented: Presented | null,
): Promise<ResponseHead> {
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
    const onEnd = (error?: Error | boolean): void => {
      // Before its first byte, one that asked for a certificate says with its end what it thinks of ours.
      const cause = error instanceof Error ? error : 'closed';
      if (presented && !heard) finish(asProxyFailure(proxy, handshakeError(presented, cause)));
      else finish(failed('closed the connection before it answered CONNECT'));
    };
    let heard = false;
    const onData = (bytes: Buffer): void => {
      heard = true;
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
  const { code, message, alert } = error;
  if (code === 'CONNECTION_TIMEOUT' || code === 'LOOP_DETECTED') return error;
  const subject = proxy.identity?.facts[0]?.subject;
  const [what, hint] =
    code === 'CLIENT_CERTIFICATE_REFUSED'
      ? [`refused the client certificate ${subject} of upstream_proxy`, 'ask its operator which CAs it accepts']
      : code === 'CLIENT_CERTIFICATE_REQUIRED'
        ? ['requires a client certificate', 'name one that it accepts in mtlsd.yaml: upstream_proxy: { cert, key }']
        : ["can't be used", ERROR_CODES.UPSTREAM_PROXY_FAILED.hint];
  return new MtlsdError('UPSTREAM_PROXY_FAILED', `the upstream proxy ${proxyName(proxy)} ${what}: ${message}`, {
    nothingSent: true,
    cause: error,
    hint,
    alert,
  });
}
