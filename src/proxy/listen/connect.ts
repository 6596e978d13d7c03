/** CONNECT (RFC 9110 §9.3.6): parse -> decide -> intercept, tunnel or refuse. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { StoreSnapshot } from '../certs/store/snapshot.ts';
import { type Authority, parseAuthority, tellable } from '../core/authority.ts';
import { asMtlsdError, MtlsdError } from '../core/errors.ts';
import { nextId } from '../core/ids.ts';
import { pace } from '../core/pace.ts';
import type { Credentials } from './auth.ts';
import { looksLikeTls, peek, readClientHello } from './client/hello.ts';
import type { ClientConnection } from './client/stream.ts';
import { type Decision, decide } from './decide.ts';
import { type InterceptOptions, intercept } from './intercept.ts';
import { endWith } from './linger.ts';
import { answerBytes, answerProblem } from './problem.ts';
import { acceptSocks, reply, SOCKS_REPLY, socksReplyFor } from './socks.ts';
import { type TunnelContext, tunnel } from './tunnel.ts';
import { type Pools, targetOf } from './upstream/pool.ts';

export interface ConnectContext {
  readonly store: () => StoreSnapshot;
  readonly pools: Pools;
  readonly credentials: Credentials;
  readonly interception: InterceptOptions;
  readonly tunnels: TunnelContext;
  readonly nonTls: 'tunnel' | 'refuse';
  /** HTTP on an intercepted connection. */
  readonly serve: (socket: TLSSocket, connection: ClientConnection) => void;
  /** Connections on which nothing was said yet: a drain ends them. */
  readonly waiting: Set<Socket>;
  readonly onRefused: (refusal: Refusal) => void;
}

/** For the log: what was refused before there was an exchange. */
export interface Refusal {
  readonly client: string;
  readonly target: string;
  readonly error: MtlsdError;
}

/** Each costs a millisecond or two: a leaf, two handshakes. */
const nextHandshake = pace();

/** Longer than any client waits before it speaks, shorter than a person's patience; then it may be that the server speaks first. */
const FIRST_BYTES_MS = 30_000;

export async function handleConnect(
  context: ConnectContext,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  const target = request.url ?? '';
  const client = clientOf(socket);
  const way = new Way(() => socket.write('HTTP/1.1 200 Connection Established\r\n\r\n'));
  socket.on('error', () => {}); // a client's reset is routine; each step sees the close
  try {
    const { profile } = context.credentials.check(request.headers['proxy-authorization']);
    if (head.byteLength > 0) socket.unshift(head);
    await proceed(context, socket, { authority: parseAuthority(target), client, profile }, way);
  } catch (error) {
    const known = asMtlsdError(error);
    context.onRefused({ client, target: tellable(target), error: known });
    // After the 200 there is nothing that a client would read as an answer.
    if (way.confirmed) socket.destroy();
    else refuse(socket, known, target, request.headers.accept);
  }
}

/** The same for a client that speaks SOCKS5. */
export async function handleSocks(context: ConnectContext, socket: Socket, handshakeTimeoutMs: number): Promise<void> {
  const client = clientOf(socket);
  let target = '';
  const way = new Way(() => reply(socket, SOCKS_REPLY.succeeded));
  socket.on('error', () => {});
  let accepted = false;
  try {
    const { authority, profile } = await acceptSocks(socket, context.credentials, handshakeTimeoutMs);
    accepted = true;
    target = authority.text;
    await proceed(context, socket, { authority, client, profile }, way);
  } catch (error) {
    const known = asMtlsdError(error);
    context.onRefused({ client, target, error: known });
    if (way.confirmed) socket.destroy();
    else if (accepted) {
      reply(socket, socksReplyFor(known));
      endWith(socket);
    }
  }
}

/** Tells the client once that its way is open. */
class Way {
  readonly #open: () => void;
  confirmed = false;
  constructor(open: () => void) {
    this.#open = open;
  }
  confirm(): void {
    this.confirmed = true;
    this.#open();
  }
}

interface Asked {
  readonly authority: Authority;
  readonly client: string;
  readonly profile: string | undefined;
}

async function proceed(context: ConnectContext, socket: Socket, asked: Asked, way: Way): Promise<void> {
  const { authority, client, profile } = asked;
  const decision = decide(context.store(), authority, { profile });
  if (decision.action === 'refuse')
    throw new MtlsdError('POLICY_REFUSED', `${authority.text} is refused: ${decision.why}`);
  if (decision.action === 'passthrough') {
    await tunnel(context.tunnels, socket, { authority, client, why: decision.why }, () => way.confirm());
    return;
  }
  way.confirm();
  await interceptOrTunnel(context, socket, { ...asked, decision });
}

interface Accepted extends Asked {
  readonly decision: Decision;
}

/** After the 200: the first bytes tell whether there is TLS to intercept. */
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
      throw new MtlsdError('POLICY_REFUSED', `${authority.text} is refused: ${why}, and non_tls is refuse`);
    await tunnel(context.tunnels, socket, { authority, client, why }, () => {});
    return;
  }
  const hello = readClientHello(first);
  await nextHandshake();
  if (socket.destroyed) return; // the client left while others had their turn
  const connection: ClientConnection = {
    authority,
    scheme: 'https',
    client,
    profile,
    serverName: hello.serverName,
    host: null,
    decision,
    target: null,
    http2Only: false,
    active: 0,
  };
  // The origin's handshake runs while the client's does; which protocol it should speak, the client's offer tells.
  if (decision.choice.entry?.identity !== null) {
    const protocol = hello.alpn.includes('h2') ? 'h2' : 'h1';
    const { choice, policy } = decision;
    connection.target = targetOf({ scheme: 'https', authority, wish: { profile }, choice, policy, protocol });
    context.pools.warm(connection.target);
  }
  context.serve(await intercept(context.interception, socket, authority), connection);
}

const clientOf = (socket: Socket): string => `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;

function refuse(socket: Socket, error: MtlsdError, target: string, accept: string | undefined): void {
  if (socket.destroyed) return;
  const answer = answerProblem(error, { exchange: nextId('x'), authority: target, accept, certificate: null });
  endWith(socket, answerBytes(answer));
}
