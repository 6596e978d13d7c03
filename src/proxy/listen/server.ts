/**
 * The ways in: listen, admit, limit, drain. A connection that is admitted becomes HTTP on the proxy's own port, SOCKS, or a
 * local port of one origin; each gives a client connection, whose requests become exchanges.
 */
import type { AddressInfo, Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { decide } from '../../certs/decide.ts';
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { hostField, tellable } from '../../core/authority.ts';
import { asMtlsdError, type MtlsdError } from '../../core/errors.ts';
import { nextId } from '../../core/ids.ts';
import type { RequestHead } from '../../http1/reader.ts';
import { answerBytes, answerProblem } from '../answer.ts';
import { H1ClientConnection, type H1ClientOptions, type H1ClientStream } from '../client/h1.ts';
import { H2ClientConnection, type H2ClientStream } from '../client/h2.ts';
import type { ClientConnection, ClientStream } from '../client/stream.ts';
import { Exchange, type ExchangeContext } from '../exchange/exchange.ts';
import { fieldValue } from '../exchange/fields.ts';
import { Router } from '../exchange/routing.ts';
import { endWith } from '../linger.ts';
import { Tunnels } from '../tunnels.ts';
import { isOwnName, ownNameAnswers } from '../own-name.ts';
import { Admission, type AdmissionLimits } from './admission.ts';
import { clientOf, type ConnectContext, handleConnect, handleSocks } from './connect.ts';
import { originFormOf, parseAbsoluteForm } from './forward.ts';
import { boundAddress, listenOn, type ListenPlace } from './ports.ts';
import type { TunnelContext } from './tunnel.ts';
import type { LandingCa } from '../landing/page.ts';
import { localConnection, type LocalPort, refuseForeignPage, relayLocal } from './local.ts';

export interface ProxyServerOptions {
  /** What clients have to trust, for browsers that don't yet. */
  readonly ca: () => LandingCa;
  readonly listen: readonly ListenPlace[];
  /** Whether a port that is taken is replaced by any free one. */
  readonly anyPort: boolean;
  /** Tried on the first address's port; left out without a word where the machine has no such address. */
  readonly listenOptional: readonly { readonly host: string; readonly port: number }[];
  readonly socks: ListenPlace | null;
  readonly local: readonly LocalPort[];
  readonly tunnel: Omit<TunnelContext, 'tunnels'>;
  readonly store: () => StoreSnapshot;
  readonly connect: Omit<ConnectContext, 'serve' | 'waiting' | 'store' | 'pools' | 'tunnel'>;
  readonly exchange: Omit<ExchangeContext, 'draining' | 'router' | 'tunnels'> & {
    readonly overrides: boolean;
    /** Whether each profile has a password of its own. */
    readonly proven: boolean;
  };
  /** Whether tunnels end when the store withdraws what they were made with. */
  readonly endTunnels: boolean;
  readonly limits: AdmissionLimits & { readonly headerBytes: number };
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
  /** `unix:PATH` */
  readonly unixSockets: readonly string[];
  readonly socks: string | null;
  /** In the order of the settings. */
  readonly local: readonly string[];
  readonly stats: { readonly connections: number };
  /** Closes client connections whose host is no longer intercepted, and ends tunnels that the store withdraws. */
  storeChanged(next: StoreSnapshot): void;
  /** Takes nothing new, lets what is under way finish for up to the drain time, then ends it. */
  drain(): Promise<void>;
}

/** Real methods have 17 letters at most; the rest would only fill the records. */
const LONGEST_METHOD = 20;

/** An HTTP connection of a client, in either version. */
interface Served {
  close(): void;
  /** Ends waits whose time is up. */
  checkTime(now: number): void;
}

/** @throws MtlsdError BAD_CONFIGURATION where an address can't be listened on */
export async function startProxyServer(options: ProxyServerOptions): Promise<ProxyServer> {
  const { limits, timeoutsMs } = options;
  const { reportFault, pools } = options.exchange;
  const admission = new Admission(limits);
  const answerOwnName = ownNameAnswers(options.ca);
  const waiting = new Set<Socket>();
  const served = new Map<Served, ClientConnection | null>();
  const tunnels = new Tunnels(options.store, options.endTunnels);
  const context: ExchangeContext = {
    ...options.exchange,
    tunnels,
    router: new Router(options.store, options.exchange),
    draining: () => admission.draining,
  };
  const tunnel: TunnelContext = { ...options.tunnel, tunnels };
  const connectContext: ConnectContext = {
    ...options.connect,
    store: options.store,
    pools,
    waiting,
    serve: serveIntercepted,
    tunnel,
  };
  // One timer for all connections; a time-out is late by this at most.
  const { response, stream } = options.exchange.timeoutsMs;
  const waits = [timeoutsMs.request, timeoutsMs.idle, response, stream].filter((ms) => ms > 0);
  const checkEveryMs = Math.max(20, Math.min(1_000, ...waits.map((ms) => ms / 4)));
  const checker = setInterval(() => {
    const now = performance.now();
    for (const connection of served.keys()) connection.checkTime(now);
  }, checkEveryMs).unref();

  function exchange(connection: ClientConnection, stream: ClientStream): void {
    if (isOwnName(connection)) return answerOwnName(connection, stream, admission.draining);
    new Exchange(context, connection, stream).run();
  }

  /** @param answered the client reads the answer */
  function refuse(
    client: string,
    target: string,
    error: MtlsdError,
    head: RequestHead | null,
    answered = true,
  ): Buffer {
    const id = nextId('x');
    const method = head?.method.slice(0, LONGEST_METHOD) ?? '';
    const status = answered ? error.status : null;
    options.connect.onRefused({ exchange: id, client, target, method, status, error });
    const accept = head ? fieldValue(head.fields, 'accept') : undefined;
    const answer = answerProblem(error, { exchange: id, authority: target || null, accept, certificate: null });
    return answerBytes(answer, head?.method === 'HEAD');
  }

  function h1(
    socket: Socket,
    facts: ClientConnection | null,
    own: Pick<H1ClientOptions, 'endMeansGone' | 'onRequest' | 'onConnect'>,
  ): void {
    const client = clientOf(socket);
    const connection = new H1ClientConnection(socket, {
      ...own,
      headerBytes: limits.headerBytes,
      timeoutsMs,
      reportFault,
      refuse: (error, head) => refuse(client, facts?.authority.text ?? tellable(head?.target ?? ''), error, head),
      onClosed: () => served.delete(connection),
    });
    served.set(connection, facts);
    if (admission.draining) connection.close();
  }

  /** HTTP inside a tunnel: every request on it goes to the tunnel's authority. */
  function serveIntercepted(socket: TLSSocket, facts: ClientConnection): void {
    if (socket.alpnProtocol === 'h2') {
      const connection = new H2ClientConnection(socket, {
        headerBytes: limits.headerBytes,
        timeoutsMs,
        reportFault,
        onRequest: (stream: H2ClientStream) => exchange(facts, stream),
        onClosed: () => served.delete(connection),
      });
      served.set(connection, facts);
      if (admission.draining) connection.close();
      return;
    }
    h1(socket, facts, {
      endMeansGone: true,
      onConnect: null,
      onRequest: (head, stream) => {
        stream.path = originFormOf(head, facts.authority);
        exchange(facts, stream);
      },
    });
  }

  /** What clients say to the proxy itself: CONNECT, and requests with an absolute URI. */
  const useHttp = (socket: Socket): void =>
    h1(socket, null, {
      endMeansGone: false,
      onConnect: (head, raw) => void handleConnect(connectContext, head, raw, refuse),
      onRequest: (head, stream) => forward(head, stream, clientOf(socket)),
    });

  function forward(head: RequestHead, stream: H1ClientStream, client: string): void {
    const { profile } = options.connect.credentials.check(fieldValue(head.fields, 'proxy-authorization'));
    const { scheme, authority, path } = parseAbsoluteForm(head.target);
    stream.path = path === '/' && head.method === 'OPTIONS' && !/^[a-z]+:\/\/[^/]*\//i.test(head.target) ? '*' : path;
    const host = hostField(authority, scheme); // in place of the client's (RFC 9112 §3.2.2)
    exchange({ authority, scheme, client, profile, serverName: null, host }, stream);
  }

  const useSocks = (socket: Socket): void => void handleSocks(connectContext, socket, timeoutsMs.tls);
  const useLocal = (port: LocalPort) => (socket: Socket) => {
    const client = clientOf(socket);
    if (port.scheme === 'https') {
      const facts = localConnection(port, client);
      h1(socket, facts, {
        endMeansGone: false,
        onConnect: null,
        onRequest: (head, stream) => {
          refuseForeignPage(head, facts);
          stream.path = originFormOf(head, facts.authority);
          exchange(facts, stream);
        },
      });
      return;
    }
    socket.on('error', () => {});
    relayLocal(tunnel, options.store(), socket, port, client).catch((error: unknown) => {
      options.connect.onRefused({
        exchange: nextId('x'),
        client,
        target: port.authority.text,
        method: 'CONNECT',
        status: null,
        error: asMtlsdError(error),
      });
      socket.destroy();
    });
  };

  /** @param answers it speaks HTTP; its bytes mean nothing to SOCKS and raw local ports */
  const admit = (use: (socket: Socket) => void, answers: boolean) => (socket: Socket) => {
    socket.on('error', () => {}); // a client's reset is routine; each step sees the close
    const error = admission.admit(socket);
    if (error) {
      const bytes = refuse(clientOf(socket), '', error, null, answers);
      endWith(socket, answers ? bytes : undefined);
      return;
    }
    try {
      use(socket);
    } catch (fault) {
      reportFault({ scope: 'client', id: null, error: fault });
      socket.destroy();
    }
  };

  const listeners: Server[] = [];
  const others: Server[] = [];
  try {
    const http = admit(useHttp, true);
    for (const place of options.listen) listeners.push(await listenOn(place, http, options.anyPort));
    const port = (listeners[0]?.address() as AddressInfo | null | undefined)?.port ?? 0;
    for (const { host } of options.listenOptional) {
      const listener = await listenOn({ host, port }, http).catch(() => null);
      if (listener) listeners.push(listener);
    }
    if (options.socks) others.push(await listenOn(options.socks, admit(useSocks, false)));
    for (const port of options.local)
      others.push(await listenOn(port.listen, admit(useLocal(port), port.scheme === 'https')));
  } catch (error) {
    clearInterval(checker);
    for (const listener of [...listeners, ...others]) listener.close();
    throw error;
  }

  return {
    addresses: listeners.map(boundAddress).filter((address) => !address.startsWith('unix:')),
    unixSockets: listeners.map(boundAddress).filter((address) => address.startsWith('unix:')),
    socks: options.socks && others[0] ? boundAddress(others[0]) : null,
    local: others.slice(options.socks ? 1 : 0).map(boundAddress),
    get stats() {
      return { connections: admission.count };
    },
    storeChanged(next) {
      for (const [connection, facts] of served) {
        if (!facts) continue;
        if (decide(next, facts.authority, { profile: facts.profile }).action !== 'intercept') connection.close();
      }
      tunnels.storeChanged(next);
    },
    async drain() {
      admission.close();
      for (const listener of [...listeners, ...others]) listener.close();
      for (const connection of served.keys()) connection.close();
      for (const socket of waiting) socket.destroy();
      await admission.drained(timeoutsMs.drain);
      clearInterval(checker);
    },
  };
}
