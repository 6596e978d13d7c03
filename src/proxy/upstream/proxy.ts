/** Another proxy on the way out: which one for an authority, and a tunnel through it (RFC 9110 §9.3.6). */
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Authority } from '../../core/authority.ts';
import { ERROR_CODES, MtlsdError } from '../../core/errors.ts';
import { withoutPeerObject } from '../../inspect/peer-chain.ts';
import type { Secret } from '../../core/secret.ts';
import { classify } from './classify.ts';
import { connectTcp, type TcpConnection, type TcpOptions } from './tcp.ts';

export interface UpstreamProxy {
  readonly scheme: 'http' | 'https';
  readonly authority: Authority;
  /** `user:password`, for Basic (RFC 7617). */
  readonly credentials: Secret | null;
  /** PEM; for an https proxy of a private CA. Left out: the runtime's anchors. */
  readonly ca: string | null;
}

export interface ProxyChoice {
  /** null for none: connect directly. */
  (authority: Authority): UpstreamProxy | null;
}

/** As it may be shown. */
export const proxyName = ({ scheme, authority }: UpstreamProxy): string => `${scheme}://${authority.text}`;

/** Flat fields that a request to the proxy itself needs. */
export function proxyFields({ credentials }: UpstreamProxy): string[] {
  return credentials ? ['Proxy-Authorization', `Basic ${Buffer.from(credentials.reveal()).toString('base64')}`] : [];
}

/**
 * A connection to the proxy, TLS already on it where it speaks that.
 * @throws MtlsdError as connectTcp does; UPSTREAM_PROXY_FAILED where its own TLS fails
 */
export async function connectToProxy(proxy: UpstreamProxy, options: TcpOptions): Promise<TcpConnection> {
  const tcp = await connectTcp(proxy.authority, options).catch((error: unknown) => {
    throw asProxyFailure(proxy, error);
  });
  if (proxy.scheme === 'http') return tcp;
  const { host, kind } = proxy.authority;
  // Verified below and not by Node, whose own check can end the process (docs/decisions/0002-reading-chains.md).
  const socket = withoutPeerObject(
    connectTls({
      socket: tcp.socket,
      servername: kind === 'name' ? host : '',
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(proxy.ca !== null && { ca: proxy.ca }),
    }),
  );
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new MtlsdError('TLS_TIMEOUT', 'it did not finish its TLS handshake in time')),
      options.timeoutMs,
    );
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      const leaf = socket.getPeerX509Certificate();
      const named = kind === 'name' ? leaf?.checkHost(host) : leaf?.checkIP(host);
      if (socket.authorized && named !== undefined) return resolve();
      const why = socket.authorized ? `it is not for ${host}` : String(socket.authorizationError);
      reject(new MtlsdError('SERVER_CERTIFICATE_REJECTED', `its certificate was rejected: ${why}`));
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(classify(error, 'tls', proxy.authority.text));
    });
  }).catch((error: unknown) => {
    socket.destroy();
    throw asProxyFailure(proxy, error);
  });
  return { ...tcp, socket };
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
  const fields = proxyFields(proxy);
  const credentials = fields.length > 0 ? `${fields[0]}: ${fields[1]}\r\n` : '';
  socket.write(`CONNECT ${authority.text} HTTP/1.1\r\nHost: ${authority.text}\r\n${credentials}\r\n`);
  try {
    const status = await readStatus(socket, options.timeoutMs, proxy);
    if (status.code === 407) {
      const message = `the upstream proxy ${proxyName(proxy)} ${proxy.credentials ? 'does not accept the credentials' : 'wants credentials'} (407)`;
      throw new MtlsdError('UPSTREAM_PROXY_AUTHENTICATION', message, { nothingSent: true });
    }
    if (status.code < 200 || status.code > 299) {
      const message = `the upstream proxy ${proxyName(proxy)} refused a tunnel to ${authority.text}: ${status.line}`;
      // 504 and the like are its word on the origin, not on itself.
      const hint =
        status.code >= 500
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

/** A status line and fields as long as this are no proxy's. */
const MAX_HEAD_BYTES = 16 * 1024;

function readStatus(socket: Socket, timeoutMs: number, proxy: UpstreamProxy): Promise<{ code: number; line: string }> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0);
    const finish = (action: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('error', onEnd).off('end', onEnd).off('close', onEnd);
      action();
    };
    const failed = (said: string): MtlsdError =>
      new MtlsdError('UPSTREAM_PROXY_FAILED', `the upstream proxy ${proxyName(proxy)} ${said}`, { nothingSent: true });
    const onEnd = (): void => finish(() => reject(failed('closed the connection before it answered CONNECT')));
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) {
        if (head.byteLength > MAX_HEAD_BYTES)
          finish(() => reject(failed('answered CONNECT with something that is not HTTP')));
        return;
      }
      const [line = ''] = head.toString('latin1', 0, end).split('\r\n');
      const [, code] = /^HTTP\/1\.[01] (\d{3})/.exec(line) ?? [];
      const rest = head.subarray(end + 4);
      finish(() => {
        if (code === undefined) return reject(failed('answered CONNECT with something that is not HTTP'));
        if (rest.byteLength > 0) socket.unshift(rest);
        // As in settle.ts: the listener's removal takes effect a tick later.
        setImmediate(resolve, { code: Number(code), line: line.slice(0, 200).replace(/[^\x20-\x7e]/g, '?') });
      });
    };
    const timer = setTimeout(
      () =>
        finish(() =>
          reject(
            new MtlsdError(
              'CONNECTION_TIMEOUT',
              `the upstream proxy ${proxyName(proxy)} did not answer CONNECT in time`,
              { nothingSent: true },
            ),
          ),
        ),
      timeoutMs,
    );
    socket.on('readable', onReadable).once('error', onEnd).once('end', onEnd).once('close', onEnd);
  });
}

/** Time-outs keep their code; whatever else is wrong with the way to the proxy is the proxy's failure, not the origin's. */
function asProxyFailure(proxy: UpstreamProxy, error: unknown): unknown {
  if (!(error instanceof MtlsdError) || error.code === 'CONNECTION_TIMEOUT' || error.code === 'LOOP_DETECTED')
    return error;
  return new MtlsdError(
    'UPSTREAM_PROXY_FAILED',
    `the upstream proxy ${proxyName(proxy)} can't be used: ${error.message}`,
    { nothingSent: true, cause: error },
  );
}
