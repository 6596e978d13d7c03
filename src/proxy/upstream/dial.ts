/**
 * One upstream connection, from a plan to a TLS socket that may be written to: TCP (or another proxy's tunnel), TLS with the
 * plan's identity and policy, verdict, settle. Everything learnt on the way stands in the connection's record, which is
 * logged once and stays with the socket.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { ClientIdentity } from '../../certs/identity/identity.ts';
import type { Policy } from '../../certs/store/policy.ts';
import type { Authority } from '../../core/authority.ts';
import { hintAt, MtlsdError } from '../../core/errors.ts';
import { certificateSentence } from '../../inspect/client-certificate.ts';
import { chainReader, earlyVerifyError, withoutPeerObject } from '../../inspect/peer-chain.ts';
import type { ConnectionRecord } from '../../inspect/records.ts';
import type { Verdict } from '../../inspect/verdict.ts';
import { classify } from './classify.ts';
import { type DialPlan, RecordDraft } from './draft.ts';
import { type Failure, handshakeError, rejected } from './refusal.ts';
import { settle } from './settle.ts';
import type { TcpConnection } from './tcp.ts';

export interface Upstream {
  readonly socket: Socket;
  /** null for plain HTTP, which has no TLS to tell of. */
  readonly record: ConnectionRecord | null;
  /** Requests that went over it; more than one means that the connection was reused. */
  uses: number;
  /** The error that ended it, kept because undici reports another one. */
  error: Error | null;
  /**
   * A server that asked for a certificate, and did not say what it thinks of what it got: until then (performance.now())
   * a close without a word is probably that. 0 where it accepted, or never asked.
   */
  readonly undecidedUntil: number;
}

export interface DialerOptions {
  readonly openTcp: (authority: Authority) => Promise<TcpConnection & { readonly via: string | null }>;
  readonly contextFor: (identity: ClientIdentity | null, policy: Policy) => SecureContext;
  /** Origins that show a leaf of our own local CA are refused. */
  readonly localCa: X509Certificate;
  readonly tlsTimeoutMs: number;
  readonly onRecord: (record: ConnectionRecord) => void;
  readonly onKeylog: ((line: Buffer) => void) | null;
}

export type Dial = (plan: DialPlan) => Promise<Upstream & { readonly record: ConnectionRecord }>;

/** Facts per socket: undici hands the socket back, and this says which connection it was. */
const upstreams = new WeakMap<object, Upstream>();
export const upstreamOf = (socket: object): Upstream | undefined => upstreams.get(socket);

/** Keeps a connected socket's facts with it, and the error that ends it. */
export function upstreamFor<R extends ConnectionRecord | null>(
  socket: Socket,
  record: R,
  undecidedUntil = 0,
): Upstream & { readonly record: R } {
  const upstream = { socket, record, uses: 0, error: null as Error | null, undecidedUntil };
  socket.on('error', (error) => {
    upstream.error = error;
  });
  upstreams.set(socket, upstream);
  return upstream;
}

/**
 * Two round trips, and time for the server to check a chain; a later refusal is still told, only not provably unsent. A TLS
 * 1.3 handshake is a round trip all the way, where the connection may end at a proxy near by.
 */
const settleCapMs = ({ connect, tls }: { connect: number; tls: number }): number =>
  Math.min(1000, Math.max(100, 2 * Math.max(connect, tls) + 50));

/** @throws MtlsdError as classified; the record of the failed connection is out by then, its id in `connection` */
export function createDialer(options: DialerOptions): Dial {
  const chains = chainReader();
  return async (plan) => {
    const identity = plan.choice.entry?.identity ?? null;
    // withhold_unverified: TLS hands the certificate over before the server can be judged, so look first without it.
    // A look is good for one connection: a verdict is never taken from memory.
    const looked = identity !== null && plan.choice.entry?.withholdUnverified ? await look(plan) : null;
    if (looked) return looked;
    const draft = new RecordDraft(plan, identity, false);
    return conclude(draft, await handshake(plan, draft, identity));
  };

  /**
   * A connection without the certificate; null where the server is verified. Then it has served its purpose, carried nothing
   * and is not recorded: a server that demands a certificate makes a failure of it, which would read as one.
   */
  async function look(plan: DialPlan): Promise<Awaited<ReturnType<Dial>> | null> {
    const draft = new RecordDraft(plan, null, true);
    const shaken = await handshake(plan, draft, null);
    if (!shaken.verdict?.authorized) return conclude(draft, shaken);
    shaken.socket.destroy();
    return null;
  }

  async function handshake(plan: DialPlan, draft: RecordDraft, identity: ClientIdentity | null): Promise<Shaken> {
    let tcp: TcpConnection & { readonly via: string | null };
    try {
      tcp = await options.openTcp(plan.authority);
    } catch (error) {
      throw publishFailure(draft, classify(error, 'connect', plan.authority.text));
    }
    draft.tcp(tcp);
    const started = performance.now();
    const serverName = plan.policy.serverName ?? plan.authority.host;
    const socket = withoutPeerObject(
      connectTls({
        socket: tcp.socket,
        secureContext: options.contextFor(identity, withReportedVersions(plan.policy)),
        // RFC 6066 §3: an address is no server name; Node throws on one.
        servername: isIP(serverName) === 0 ? serverName : '',
        ALPNProtocols: [...plan.alpn],
        // The verdict is ours, from OpenSSL's and more, below. Node would check the wrong name and stop at the first problem.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      }),
    );
    if (options.onKeylog) socket.on('keylog', options.onKeylog);
    let verdict: Verdict | null = null;
    // TLS 1.2 says this once the server's flight is read; a server that hangs up after it takes all that is known along.
    socket.once('keylog', () => {
      draft.seen(socket, serverName);
      // A look is to end in a verdict, also where the server ends the handshake for want of a certificate.
      if (draft.withheld && draft.requested === true)
        verdict = draft.judged(socket, serverName, options.localCa, earlyVerifyError(socket), chains);
    });
    const failure = await finishHandshake(socket, options.tlsTimeoutMs, () => draft.seen(socket, serverName));
    draft.ms.tls = performance.now() - started;
    if (failure === null) {
      draft.seen(socket, serverName);
      const opensslError = socket.authorized ? null : String(socket.authorizationError);
      verdict = draft.judged(socket, serverName, options.localCa, opensslError, chains);
    }
    return { socket, failure, verdict };
  }

  /** The end of a dial: a socket to write to, or why there is none; recorded either way. */
  async function conclude(draft: RecordDraft, { socket, failure, verdict }: Shaken): ReturnType<Dial> {
    if (verdict && !verdict.proceed) {
      socket.destroy();
      throw publishFailure(draft, rejected(draft.where, verdict));
    }
    if (failure !== null) {
      socket.destroy();
      throw publishFailure(draft, handshakeError(draft, failure));
    }
    // Without a request there is nothing to refuse; TLS 1.2 servers refuse within the handshake, Node's just after it.
    let accepted = draft.requested !== true;
    if (draft.requested === true && socket.getProtocol() === 'TLSv1.3') {
      const from = performance.now();
      const settled = await settle(socket, settleCapMs(draft.ms));
      draft.ms.settle = performance.now() - from;
      accepted = settled.outcome === 'accepted';
      if (settled.outcome === 'refused' || socket.destroyed) {
        socket.destroy();
        throw publishFailure(
          draft,
          handshakeError(draft, (settled.outcome === 'refused' && settled.error) || 'closed'),
        );
      }
    }
    const undecidedUntil = accepted ? 0 : performance.now() + settleCapMs(draft.ms);
    const upstream = upstreamFor(socket, draft.record(null), undecidedUntil);
    options.onRecord(upstream.record);
    return upstream;
  }

  function publishFailure(draft: RecordDraft, error: MtlsdError): MtlsdError {
    const { code, message, alert, problems, cause } = error;
    const hint = hintAt(error.hint, draft.where);
    const record = draft.record({ code, message, hint, alert });
    options.onRecord(record);
    const certificate = certificateSentence(record.client_certificate);
    return new MtlsdError(code, message, {
      hint,
      problems,
      alert,
      certificate,
      connection: draft.id,
      nothingSent: true,
      cause,
    });
  }
}

interface Shaken {
  readonly socket: TLSSocket;
  /** null where the handshake came to its end. */
  readonly failure: Failure | null;
  /** null where the server was not seen well enough to be judged. */
  readonly verdict: Verdict | null;
}

/**
 * In report mode the version is judged like the rest, after the handshake; TLS 1.2 is what is spoken without any rule. In
 * enforce a version that is too old never comes to be, so that no certificate is shown on it.
 */
function withReportedVersions(policy: Policy): Policy {
  const judged = policy.mode === 'report' || policy.allow.includes('TLS_VERSION_TOO_LOW');
  return judged && policy.minVersion === 'TLSv1.3' ? { ...policy, minVersion: 'TLSv1.2' } : policy;
}

/** @param onFailure called while the socket still knows what it has seen */
function finishHandshake(socket: TLSSocket, timeoutMs: number, onFailure: () => void): Promise<Failure | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    const onSecure = (): void => finish(null);
    const onError = (error: Error): void => finish(error);
    socket.once('secureConnect', onSecure).once('error', onError);
    function finish(failure: Failure | null): void {
      clearTimeout(timer);
      socket.off('secureConnect', onSecure).off('error', onError);
      // Whatever comes between here and the next listener must not take the process down.
      socket.on('error', () => {});
      if (failure !== null) onFailure();
      resolve(failure);
    }
  });
}
