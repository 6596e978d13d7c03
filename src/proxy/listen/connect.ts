/** CONNECT (RFC 9110 §9.3.6) and SOCKS5: who asks for what -> intercept, tunnel or refuse. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Decision, decide } from '../../certs/decide.ts';
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { type Authority, parseAuthority, tellable } from '../../core/authority.ts';
import { asMtlsdError, MtlsdError, policyRefused } from '../../core/errors.ts';
import { nextId } from '../../core/ids.ts';
import { onePerTurn } from '../../core/one-per-turn.ts';
import type { RequestHead } from '../../http1/reader.ts';
import { type InterceptOptions, intercept } from '../client/intercept.ts';
import type { ClientConnection } from '../client/stream.ts';
import { fieldValue } from '../exchange/fields.ts';
import { endWith } from '../linger.ts';
import { isOwnName } from '../own-name.ts';
import type { Pools } from '../upstream/pools.ts';
import { routeOf } from '../upstream/route.ts';
import type { Credentials } from './auth.ts';
import { looksLikeTls, peek, readClientHello } from './hello.ts';
import { acceptSocks, reply, SOCKS_REPLY, socksReplyFor } from './socks.ts';
import { type TunnelContext, tunnel } from './tunnel.ts';

export interface ConnectContext {
  readonly store: () => StoreSnapshot;
  readonly pools: Pools;
  readonly credentials: Credentials;
  readonly interception: InterceptOptions;
  readonly tunnel: TunnelContext;
  /** What becomes of a decision where the local CA may not sign for the host. */
  readonly within: (decision: Decision, authority: Authority) => Decision;
  readonly nonTls: 'tunnel' | 'refuse';
  /** HTTP on an intercepted connection. */
  readonly serve: (socket: TLSSocket, connection: ClientConnection) => void;
  /** Connections on which nothing was said yet: a drain ends them. */
  readonly waiting: Set<Socket>;
  readonly onRefused: (refusal: Refusal) => void;
}

/** What was refused before there was an exchange. */
export interface Refusal {
  /** The id that the answer names. */
  readonly exchange: string;
  readonly client: string;
  readonly target: string;
  /** `CONNECT`, `SOCKS5`, that of the request; empty where none was read. */
  readonly method: string;
  /** Of the answer; null where the client got none that is HTTP. */
  readonly status: number | null;
  readonly error: MtlsdError;
}

/** Each costs a millisecond or two: a leaf, two handshakes. */
const nextHandshake = onePerTurn();

/** Longer than any client waits before it speaks, shorter than a person's patience; then it may be that the server speaks first. */
const FIRST_BYTES_MS = 30_000;

export async function handleConnect(
  context: ConnectContext,
  head: RequestHead,
  socket: Socket,
  refuse: (client: string, target: string, error: MtlsdError, head: RequestHead, answered: boolean) => Buffer,
): Promise<void> {
  const client = clientOf(socket);
  let opened = false;
  const open = (): void => {
    opened = true;
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
  };
  try {
    const { profile } = context.credentials.check(fieldValue(head.fields, 'proxy-authorization'));
    await proceed(context, socket, { authority: parseAuthority(head.target), client, profile }, open);
  } catch (error) {
    const bytes = refuse(client, tellable(head.target), asMtlsdError(error), head, !opened);
    // After the 200 there is nothing that a client would read as an answer.
    if (opened || socket.destroyed) socket.destroy();
    else endWith(socket, bytes);
  }
}

/** The same for a client that speaks SOCKS5. */
export async function handleSocks(context: ConnectContext, socket: Socket, handshakeTimeoutMs: number): Promise<void> {
  const client = clientOf(socket);
  let target = '';
  let accepted = false;
  let opened = false;
  const open = (): void => {
    opened = true;
    reply(socket, SOCKS_REPLY.succeeded);
  };
  try {
    const { authority, profile } = await acceptSocks(socket, context.credentials, handshakeTimeoutMs);
    accepted = true;
    target = authority.text;
    await proceed(context, socket, { authority, client, profile }, open);
  } catch (error) {
    const known = asMtlsdError(error);
    context.onRefused({ exchange: nextId('x'), client, target, method: 'SOCKS5', status: null, error: known });
    if (opened) socket.destroy();
    else if (accepted) {
      reply(socket, socksReplyFor(known));
      endWith(socket);
    }
  }
}

interface Asked {
  readonly authority: Authority;
  readonly client: string;
  readonly profile: string | undefined;
}

/** @param open answers the client that its tunnel is open */
async function proceed(context: ConnectContext, socket: Socket, asked: Asked, open: () => void): Promise<void> {
  const { authority, client, profile } = asked;
  const decideNow = (store: StoreSnapshot): Decision =>
    context.within(decide(store, authority, { profile }), authority);
  const decision = decideNow(context.store());
  const own = isOwnName(asked);
  if (decision.action === 'refuse' && !own) throw policyRefused(authority.text, decision.why);
  if (decision.action === 'passthrough' && !own) {
    const still = (next: StoreSnapshot): boolean => decideNow(next).action === 'passthrough';
    const way = { authority, client, why: decision.why, still, open: () => context.tunnel.openTcp(authority) };
    await tunnel(context.tunnel, socket, way, open);
    return;
  }
  open();
  await interceptOrTunnel(context, socket, { ...asked, decision });
}

interface Accepted extends Asked {
  readonly decision: Decision;
}

/** After the 200: the first bytes show whether there is TLS to intercept. */
async function interceptOrTunnel(context: ConnectContext, socket: Socket, accepted: Accepted): Promise<void> {
  const { authority, client, profile, decision } = accepted;
  context.waiting.add(socket);
  const first = await peek(socket, FIRST_BYTES_MS);
  context.waiting.delete(socket);
  if (socket.destroyed || (first === null && socket.readableEnded)) {
    socket.destroy();
    return;
  }
  if (first === null || !looksLikeTls(first)) {
    const why = first === null ? 'the client waits for the server to speak' : 'what the client sends is not TLS';
    if (context.nonTls === 'refuse')
      throw new MtlsdError('POLICY_REFUSED', `${authority.text} is refused: ${why}, and non_tls is refuse`, {
        hint: 'add the host to interception.passthrough, or set non_tls: tunnel in mtlsd.yaml',
      });
    const still = (next: StoreSnapshot): boolean => decide(next, authority, { profile }).action !== 'refuse';
    const way = { authority, client, why, still, open: () => context.tunnel.openTcp(authority) };
    await tunnel(context.tunnel, socket, way, () => {});
    return;
  }
  const hello = readClientHello(first);
  await nextHandshake();
  if (socket.destroyed) return; // the client left
  const connection: ClientConnection = {
    authority,
    scheme: 'https',
    client,
    profile,
    serverName: hello.serverName,
    host: null,
  };
  // The origin's handshake runs while the client's does; the client's offer decides the protocol.
  if (decision.choice.entry?.identity !== null && !isOwnName(accepted)) {
    const { choice, policy } = decision;
    const route = routeOf({ scheme: 'https', authority, wish: { profile }, choice, policy });
    context.pools.pool(route).warm(hello.alpn.includes('h2') ? 'h2' : 'h1');
  }
  context.serve(await intercept(context.interception, socket, authority), connection);
}

/** `ip:port`; clients of a UNIX socket have no address. */
export const clientOf = ({ remoteAddress, remotePort }: Socket): string =>
  remoteAddress === undefined ? 'unix' : `${remoteAddress}:${remotePort}`;
