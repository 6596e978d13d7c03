/**
 * The proxy's own port: listen, admit, limit, drain. One node:http server parses all HTTP/1.1, what clients say to the
 * proxy itself and what they say inside intercepted connections; which of the two a request is, its socket tells.
 */
import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import http2 from 'node:http2';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { authorityOf, tellable } from '../core/authority.ts';
import { asMtlsdError, MtlsdError, nativeCode } from '../core/errors.ts';
import { nextId } from '../core/ids.ts';
import { checkFraming, H1Stream } from './client/h1.ts';
import { H2Stream } from './client/h2.ts';
import type { ClientConnection, ClientStream } from './client/stream.ts';
import { type ConnectContext, handleConnect, handleSocks } from './connect.ts';
import { Exchange, type ExchangeContext } from './exchange.ts';
import { parseAbsoluteForm } from './forward.ts';
import { localConnection, type LocalPort, type LocalTlsContext, refuseForeignPage, relayLocal } from './local.ts';
import { endWith } from './linger.ts';
import { answerBytes, answerProblem } from './problem.ts';

export interface ProxyServerOptions {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** Tried on the first address's port; left out without a word where the machine has no such address. */
  readonly listenOptional: readonly { readonly host: string; readonly port: number }[];
  readonly socks: { readonly host: string; readonly port: number } | null;
  readonly local: readonly LocalPort[];
  readonly localTls: LocalTlsContext;
  readonly connect: Omit<ConnectContext, 'serve' | 'waiting'>;
  readonly exchange: Omit<ExchangeContext, 'draining'>;
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly headerBytes: number;
  };
  readonly timeoutsMs: {
    readonly tls: number;
    readonly request: number;
    readonly idle: number;
    readonly drain: number;
  };
}

export interface ProxyServer {
  /** `127.0.0.1:8740`, as bound. */
  readonly addresses: readonly string[];
  readonly socks: string | null;
  /** In the order of the settings. */
  readonly local: readonly string[];
  readonly stats: { readonly connections: number };
  /** Takes nothing new, lets what is under way finish for up to the drain time, then ends it. */
  drain(): Promise<void>;
}

/** @throws MtlsdError BAD_CONFIGURATION where an address can't be listened on */
export async function startProxyServer(options: ProxyServerOptions): Promise<ProxyServer> {
  const { limits, timeoutsMs } = options;
  const sockets = new Set<Socket>();
  const waiting = new Set<Socket>();
  const sessions = new Set<http2.ServerHttp2Session>();
  const perAddress = new Map<string, number>();
  const intercepted = new WeakMap<object, ClientConnection>();
  const locals = new WeakSet<ClientConnection>();
  const refused = new WeakSet<object>();
  let draining = false;
  const exchangeContext: ExchangeContext = { ...options.exchange, draining: () => draining };
  const connectContext: ConnectContext = { ...options.connect, serve, waiting };

  const http = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: timeoutsMs.request,
    // Node looks only this often; its own 30 s would let a slow client have half a minute beyond its time.
    connectionsCheckingInterval: Math.min(timeoutsMs.request, 5_000),
    requestTimeout: 0, // a body takes the time that it takes
    keepAliveTimeout: timeoutsMs.idle,
    insecureHTTPParser: false,
    shouldUpgradeCallback: mayUpgrade,
    optimizeEmptyRequests: true,
    requireHostHeader: false, // RFC 9112 §3.2 asks for it; what the client sends is for the origin to judge
  });
  http.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (intercepted.has(socket))
      refuseRaw(socket, new MtlsdError('BAD_REQUEST', 'CONNECT inside an intercepted connection'));
    else void handleConnect(connectContext, request, socket as Socket, head);
  });
  http.on('request', (request, response) => onRequest(request, response, false));
  http.on('checkContinue', (request, response) => onRequest(request, response, true));
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // node:http makes no response for an Upgrade, which may yet be answered with any status.
    const response = new ServerResponse(request);
    response.assignSocket(socket as Socket);
    response.shouldKeepAlive = false;
    response.on('finish', () => {
      response.detachSocket(socket as Socket);
      socket.end();
    });
    socket.on('error', () => {});
    if (head.byteLength > 0) socket.unshift(head);
    onRequest(request, response, false, request.headers.upgrade ?? null);
  });
  http.on('clientError', (error: Error, socket) => {
    const code = nativeCode(error);
    if (refused.has(socket)) return; // what still comes is only read to be dropped
    refused.add(socket);
    if (code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
    const known =
      code === 'HPE_HEADER_OVERFLOW'
        ? new MtlsdError('REQUEST_TOO_LARGE', `the request's fields exceed ${limits.headerBytes} bytes`)
        : code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? new MtlsdError(
              'REQUEST_TIMEOUT',
              `the fields of the request did not come within ${timeoutsMs.request / 1000} s`,
            )
          : new MtlsdError('BAD_REQUEST', `the request is not HTTP/1.1 as RFC 9112 has it: ${error.message}`);
    options.connect.onRefused({
      client: clientOf(socket as Socket),
      target: intercepted.get(socket)?.authority.text ?? '',
      error: known,
    });
    refuseRaw(socket, known);
  });
  // A client that has said all may end its side and wait for the answer (RFC 9112 §9.6); Node (24) has no option for it.
  Object.assign(http, { httpAllowHalfOpen: true });
  // Time-outs and idle connections are tracked from 'listening' on; the sockets come from the listeners below.
  http.emit('listening');

  function serve(socket: TLSSocket, connection: ClientConnection): void {
    if (socket.alpnProtocol !== 'h2') {
      intercepted.set(socket, connection);
      http.emit('connection', socket);
      return;
    }
    socket.allowHalfOpen = false; // a client that ends its side of HTTP/2 has left; HTTP/1.1 may still wait for a response
    const session = http2.performServerHandshake(socket, { settings: { enableConnectProtocol: true } });
    sessions.add(session);
    session.setTimeout(timeoutsMs.idle, () => {
      if (connection.active === 0) session.close();
    });
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {}); // a client that breaks HTTP/2 ends its own session
    session.on('stream', (stream, headers, flags, raw) => {
      exchange(connection, new H2Stream(stream, headers, flags, raw));
    });
  }

  function onRequest(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
    tunnel: string | null = null,
  ): void {
    // What comes behind a request that was refused for its form can't be told from its body.
    if (refused.has(request.socket)) return;
    const connection = intercepted.get(request.socket);
    try {
      checkFraming(request);
      if (connection && locals.has(connection)) refuseForeignPage(request, connection);
      if (connection) {
        exchange(
          connection,
          new H1Stream(request, response, originForm(request.url ?? '/', connection), expectsContinue, tunnel),
        );
      } else {
        forward(request, response, expectsContinue, tunnel);
      }
    } catch (error) {
      const known = asMtlsdError(error);
      refused.add(request.socket);
      options.connect.onRefused({
        client: clientOf(request.socket),
        target: connection?.authority.text ?? tellable(request.url ?? ''),
        error: known,
      });
      const answer = answerProblem(known, {
        exchange: nextId('x'),
        authority: connection?.authority.text ?? null,
        accept: request.headers.accept,
        certificate: null,
      });
      response.writeHead(answer.status, answer.reason, [...answer.fields, 'Connection', 'close']);
      response.end(request.method === 'HEAD' ? undefined : answer.body);
    }
  }

  function forward(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
    tunnel: string | null,
  ): void {
    const { profile } = options.connect.credentials.check(request.headers['proxy-authorization']);
    const { scheme, authority, path } = parseAbsoluteForm(request.url ?? '');
    const connection: ClientConnection = {
      authority,
      scheme,
      client: clientOf(request.socket),
      profile,
      serverName: null,
      host: null,
      decision: null,
      target: null,
      http2Only: false,
      active: 0,
    };
    exchange(connection, new H1Stream(request, response, path, expectsContinue, tunnel));
  }

  function exchange(connection: ClientConnection, stream: ClientStream): void {
    new Exchange(exchangeContext, connection, stream).run();
  }

  function admit(socket: Socket, use: (socket: Socket) => void): void {
    const address = socket.remoteAddress ?? '';
    const count = perAddress.get(address) ?? 0;
    if (draining || sockets.size >= limits.connections || count >= limits.connectionsPerAddress) {
      const error = new MtlsdError(
        draining ? 'SHUTTING_DOWN' : 'OVERLOADED',
        draining ? 'the daemon is draining' : `${draining || sockets.size} connections are open`,
      );
      options.connect.onRefused({ client: clientOf(socket), target: '', error });
      refuseRaw(socket, error);
      return;
    }
    sockets.add(socket);
    perAddress.set(address, count + 1);
    socket.on('close', () => {
      sockets.delete(socket);
      const left = (perAddress.get(address) ?? 1) - 1;
      if (left > 0) perAddress.set(address, left);
      else perAddress.delete(address);
    });
    use(socket);
  }

  const useHttp = (socket: Socket): void => void http.emit('connection', socket);
  const useSocks = (socket: Socket): void => void handleSocks(connectContext, socket, timeoutsMs.tls);
  const useLocal = (port: LocalPort) => (socket: Socket) => {
    const client = clientOf(socket);
    if (port.scheme === 'https') {
      const connection = localConnection(port, client);
      locals.add(connection);
      intercepted.set(socket, connection);
      http.emit('connection', socket);
      return;
    }
    socket.on('error', () => {});
    relayLocal(options.localTls, socket, port, client).catch((error: unknown) => {
      options.connect.onRefused({ client, target: port.authority.text, error: asMtlsdError(error) });
      socket.destroy();
    });
  };

  const listeners: NetServer[] = [];
  const others: NetServer[] = [];
  try {
    for (const { host, port } of options.listen)
      listeners.push(await listenOn(host, port, (socket) => admit(socket, useHttp)));
    const port = (listeners[0]?.address() as AddressInfo | undefined)?.port ?? 0;
    for (const { host } of options.listenOptional) {
      const listener = await listenOn(host, port, (socket) => admit(socket, useHttp)).catch(() => null);
      if (listener) listeners.push(listener);
    }
    if (options.socks)
      others.push(await listenOn(options.socks.host, options.socks.port, (socket) => admit(socket, useSocks)));
    for (const port of options.local) {
      const use = useLocal(port);
      others.push(await listenOn(port.listen.host, port.listen.port, (socket) => admit(socket, use)));
    }
  } catch (error) {
    for (const listener of [...listeners, ...others]) listener.close();
    http.close();
    throw error;
  }

  return {
    addresses: listeners.map(boundAddress),
    socks: options.socks && others[0] ? boundAddress(others[0]) : null,
    local: others.slice(options.socks ? 1 : 0).map(boundAddress),
    get stats() {
      return { connections: sockets.size };
    },
    async drain() {
      draining = true;
      for (const listener of [...listeners, ...others]) listener.close();
      http.close();
      http.closeIdleConnections();
      for (const session of sessions) session.close();
      for (const socket of waiting) socket.destroy();
      await emptied(sockets, timeoutsMs.drain);
      for (const socket of sockets) socket.destroy();
      http.closeAllConnections();
    },
  };
}

function listenOn(host: string, port: number, admit: (socket: Socket) => void): Promise<NetServer> {
  return new Promise((resolve, reject) => {
    // Half-open: a tunnel passes on each side's end by itself (relay.ts).
    const server = createNetServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, admit);
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint =
        error.code === 'EADDRINUSE'
          ? 'another program has that port, perhaps another mtlsd; choose one with --listen ADDR:PORT'
          : undefined;
      reject(
        new MtlsdError('BAD_CONFIGURATION', `can't listen on ${host}:${port}: ${error.code ?? error.message}`, {
          ...(hint && { hint }),
          cause: error,
        }),
      );
    });
    server.listen({ host, port, ipv6Only: true, backlog: 4096 }, () => resolve(server));
  });
}

function boundAddress(server: NetServer): string {
  const { address, port } = server.address() as AddressInfo;
  return authorityOf(address, port).text;
}

/** Resolves when the last one has closed, or the time is up. */
function emptied(sockets: Set<Socket>, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (sockets.size === 0) return resolve();
    const timer = setTimeout(resolve, timeoutMs);
    for (const socket of sockets)
      socket.once('close', () => {
        if (sockets.size > 0) return;
        clearTimeout(timer);
        resolve();
      });
  });
}

/**
 * Which requests end HTTP on their connection where the origin agrees. One with a body keeps it; h2c and TLS are upgrades
 * of the connection to us, which may be declined by not answering them (RFC 9110 §7.8).
 */
function mayUpgrade({ headers }: IncomingMessage): boolean {
  if (headers['content-length'] !== undefined && headers['content-length'] !== '0') return false;
  return headers['transfer-encoding'] === undefined && !/\b(h2c|tls)\b/i.test(headers.upgrade ?? '');
}

/** Inside a connection a request has origin-form; absolute-form of the same authority must be taken too (RFC 9112 §3.2.2). */
function originForm(target: string, connection: ClientConnection): string {
  if (target.startsWith('/') || target === '*') return target;
  const { authority, path } = parseAbsoluteForm(target);
  if (authority.text === connection.authority.text) return path;
  throw new MtlsdError(
    'MISDIRECTED_REQUEST',
    `a request for ${authority.text} came on a connection to ${connection.authority.text}`,
  );
}

function refuseRaw(socket: Duplex, error: MtlsdError): void {
  endWith(
    socket,
    answerBytes(answerProblem(error, { exchange: nextId('x'), authority: null, accept: undefined, certificate: null })),
  );
}

const clientOf = (socket: { remoteAddress?: string | undefined; remotePort?: number | undefined }): string =>
  `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;
