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
import type { CertificateChoice } from '../../certs/store/snapshot.ts';
import type { Authority } from '../../core/authority.ts';
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import { certificateFacts } from '../../core/facts.ts';
import { nextId } from '../../core/ids.ts';
import { alertOf, explainAlert } from '../../inspect/alerts.ts';
import { peerChain, withoutPeerObject } from '../../inspect/peer-chain.ts';
import type {
  ClientCertificateFacts,
  ConnectionRecord,
  Endpoint,
  RecordError,
  TlsFacts,
} from '../../inspect/records.ts';
import { judge, type Verdict, withAnchor } from '../../inspect/verdict.ts';
import { classify } from './classify.ts';
import { isSendable } from './sendable.ts';
import { settle } from './settle.ts';
import type { TcpConnection } from './tcp.ts';

export interface DialPlan {
  readonly authority: Authority;
  readonly choice: CertificateChoice;
  readonly policy: Policy;
  /** Where the mode came from the request. */
  readonly override: boolean;
  /** In order of preference. */
  readonly alpn: readonly string[];
}

export interface Upstream {
  readonly socket: Socket;
  /** null for plain HTTP, which has no TLS to tell of. */
  readonly record: ConnectionRecord | null;
  /** Requests that went over it; more than one means that the connection was reused. */
  uses: number;
  /** The error that ended it, kept because undici reports another one. */
  error: Error | null;
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
): Upstream & { readonly record: R } {
  const upstream = { socket, record, uses: 0, error: null as Error | null };
  socket.on('error', (error) => {
    upstream.error = error;
  });
  upstreams.set(socket, upstream);
  return upstream;
}

// Two round trips, and time for the server to check a chain; a later refusal is still told, only not provably unsent.
const settleCapMs = (connectMs: number): number => Math.min(1000, Math.max(100, 2 * connectMs + 50));

/** @throws MtlsdError as classified; the record of the failed connection is out by then, its id in `connection` */
export function createDialer(options: DialerOptions): Dial {
  return async (plan) => {
    const identity = plan.choice.entry?.identity ?? null;
    if (identity === null || !plan.choice.entry?.withholdUnverified) return attempt(plan, identity, false);
    // withhold_unverified: TLS hands the certificate over before the server can be judged, so look first without it.
    // A look is good for one connection: a verdict is never taken from memory.
    const look = await attempt(plan, null, true);
    if (!look.record.verification.authorized) return look;
    look.socket.destroy();
    return attempt(plan, identity, false);
  };

  async function attempt(plan: DialPlan, identity: ClientIdentity | null, withheld: boolean): ReturnType<Dial> {
    const draft = new RecordDraft(plan, identity, withheld);
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
    const handshake = await finishHandshake(socket, options.tlsTimeoutMs);
    draft.ms.tls = performance.now() - started;
    const requested = certificateRequested(socket);
    if (handshake !== 'done') {
      socket.destroy();
      throw publishFailure(
        draft.clientCertificate(requested, null),
        handshakeError(plan, handshake, requested, identity),
      );
    }
    const sendable = requested === true && identity !== null ? isSendable(identity, socket) : null;
    draft.tls(socket, serverName).clientCertificate(requested, sendable);
    const verdict = draft.judged(socket, serverName, options.localCa);
    if (!verdict.proceed) {
      socket.destroy();
      throw publishFailure(draft, rejected(plan, verdict));
    }
    if (requested === true && socket.getProtocol() === 'TLSv1.3') {
      const from = performance.now();
      const settled = await settle(socket, settleCapMs(draft.ms.connect));
      draft.ms.settle = performance.now() - from;
      if (settled.outcome === 'refused' || socket.destroyed) {
        socket.destroy();
        const error = settled.outcome === 'refused' ? settled.error : null;
        throw publishFailure(draft, handshakeError(plan, error, requested, draft.sent ? identity : null));
      }
    }
    const upstream = upstreamFor(socket, draft.record(null));
    options.onRecord(upstream.record);
    return upstream;
  }

  function publishFailure(draft: RecordDraft, error: MtlsdError): MtlsdError {
    const alert = error.alert && { ...error.alert, meaning: explainAlert(error.alert, draft.alertContext()).meaning };
    options.onRecord(draft.record({ code: error.code, message: error.message, hint: error.hint, alert }));
    return new MtlsdError(error.code, error.message, {
      hint: error.hint,
      problems: error.problems,
      alert: error.alert,
      connection: draft.id,
      nothingSent: true,
      cause: error.cause,
    });
  }
}

/**
 * In report mode the version is judged like the rest, after the handshake; TLS 1.2 is what is spoken without any rule. In
 * enforce a version that is too old never comes to be, so that no certificate is shown on it.
 */
function withReportedVersions(policy: Policy): Policy {
  const judged = policy.mode === 'report' || policy.allow.includes('TLS_VERSION_TOO_LOW');
  return judged && policy.minVersion === 'TLSv1.3' ? { ...policy, minVersion: 'TLSv1.2' } : policy;
}

function finishHandshake(socket: TLSSocket, timeoutMs: number): Promise<'done' | 'timeout' | Error> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    const onSecure = (): void => finish('done');
    const onError = (error: Error): void => finish(error);
    socket.once('secureConnect', onSecure).once('error', onError);
    function finish(outcome: 'done' | 'timeout' | Error): void {
      clearTimeout(timer);
      socket.off('secureConnect', onSecure).off('error', onError);
      // Whatever comes between here and the next listener must not take the process down.
      socket.on('error', () => {});
      resolve(outcome);
    }
  });
}

/** Node has no event for it; a CertificateRequest is the only thing that leaves signature algorithms shared. */
function certificateRequested(socket: TLSSocket): boolean | null {
  try {
    return socket.getSharedSigalgs().length > 0;
  } catch {
    return null; // the handle is gone: the handshake ended too early to tell
  }
}

/**
 * Why a handshake, or the time just after it, failed.
 * @param sent the identity that went out, null for none
 */
function handshakeError(
  plan: DialPlan,
  failure: 'timeout' | Error | null,
  requested: boolean | null,
  sent: ClientIdentity | null,
): MtlsdError {
  const where = plan.authority.text;
  if (failure === 'timeout') return new MtlsdError('TLS_TIMEOUT', `${where} did not finish the TLS handshake in time`);
  const alert = failure && alertOf(failure);
  const name = plan.choice.entry?.name;
  if (alert) {
    const explained = explainAlert(alert, { requested, sent: sent !== null });
    const message = `${where} ended the TLS handshake with alert ${alert.number} ${alert.name}: ${explained.meaning}`;
    const code =
      explained.about === 'client_certificate'
        ? sent
          ? 'CLIENT_CERTIFICATE_REFUSED'
          : 'CLIENT_CERTIFICATE_REQUIRED'
        : 'TLS_FAILED';
    return new MtlsdError(code, message, { alert, hint: explained.hint, cause: failure });
  }
  const silent = failure === null || ['ECONNRESET', 'EPIPE'].includes(nativeCode(failure) ?? '');
  if (silent && requested === true) {
    return sent
      ? new MtlsdError(
          'CLIENT_CERTIFICATE_REFUSED',
          `${where} asked for a client certificate, was sent ${name ?? 'one'}, and closed without a word; it probably refused it`,
        )
      : new MtlsdError(
          'CLIENT_CERTIFICATE_REQUIRED',
          `${where} asked for a client certificate, got none, and closed without a word; it probably requires one`,
        );
  }
  return classify(failure ?? new Error('the connection ended'), 'tls', where);
}

function rejected(plan: DialPlan, verdict: Verdict): MtlsdError {
  const counted = verdict.problems.filter((problem) => !problem.allowed);
  const [first] = counted;
  const more = counted.length > 1 ? ` (and ${counted.length - 1} more)` : '';
  return new MtlsdError(
    'SERVER_CERTIFICATE_REJECTED',
    `the certificate of ${plan.authority.text} was rejected: ${first?.message ?? 'OpenSSL refused it'}${more}`,
    { problems: verdict.problems, ...(first && { hint: first.hint }) },
  );
}

/** Collects what becomes a ConnectionRecord; every field has its value for "not reached". */
class RecordDraft {
  readonly id = nextId('c');
  readonly ms = { dns: 0, connect: 0, tls: 0, settle: 0 };
  readonly #plan: DialPlan;
  readonly #identity: ClientIdentity | null;
  readonly #withheld: boolean;
  readonly #time = new Date().toISOString();
  #address: Endpoint | null = null;
  #local: Endpoint | null = null;
  #via: string | null = null;
  #tls: TlsFacts | null = null;
  #chain: readonly X509Certificate[] = [];
  #verdict: Verdict = { problems: [], authorized: false, proceed: false, path: [] };
  #requested: boolean | null = null;
  #outcome: ClientCertificateFacts['outcome'] = 'unknown';

  constructor(plan: DialPlan, identity: ClientIdentity | null, withheld: boolean) {
    this.#plan = plan;
    this.#identity = identity;
    this.#withheld = withheld;
  }

  get sent(): boolean {
    return this.#outcome === 'sent';
  }

  alertContext(): { requested: boolean | null; sent: boolean } {
    return { requested: this.#requested, sent: this.sent };
  }

  tcp(connection: TcpConnection & { readonly via: string | null }): void {
    const { socket } = connection;
    this.ms.dns = connection.ms.dns;
    this.ms.connect = connection.ms.connect;
    this.#address = endpoint(socket.remoteAddress, socket.remotePort);
    this.#local = endpoint(socket.localAddress, socket.localPort);
    this.#via = connection.via;
  }

  tls(socket: TLSSocket, serverName: string): this {
    const cipher = socket.getCipher();
    const ephemeral = socket.getEphemeralKeyInfo();
    this.#tls = {
      protocol: socket.getProtocol() ?? 'unknown',
      cipher: cipher.name,
      cipher_standard_name: cipher.standardName,
      alpn: socket.alpnProtocol || null,
      server_name: isIP(serverName) === 0 ? serverName : null,
      ephemeral_key:
        ephemeral && 'type' in ephemeral
          ? { type: ephemeral.type, name: ephemeral.name ?? null, size: ephemeral.size ?? null }
          : null,
      reused: false,
    };
    return this;
  }

  clientCertificate(requested: boolean | null, sendable: boolean | null): this {
    this.#requested = requested;
    if (requested === false) this.#outcome = 'not_requested';
    else if (this.#withheld) this.#outcome = 'withheld';
    else if (requested === null) this.#outcome = 'unknown';
    else if (this.#identity === null) this.#outcome = 'none_configured';
    else this.#outcome = sendable === false ? 'not_sendable' : 'sent';
    return this;
  }

  judged(socket: TLSSocket, host: string, localCa: X509Certificate): Verdict {
    const { policy } = this.#plan;
    const sent = peerChain(socket);
    this.#verdict = judge(
      {
        chain: sent,
        opensslError: socket.authorized ? null : String(socket.authorizationError),
        host,
        protocol: socket.getProtocol() ?? 'unknown',
        authority: this.#plan.authority,
      },
      {
        mode: policy.mode,
        anchors: policy.trust.certificates,
        allow: policy.allow,
        pins: policy.pins,
        minVersion: policy.minVersion,
        refuseIssuedBy: localCa,
      },
    );
    this.#chain = withAnchor(sent, this.#verdict);
    return this.#verdict;
  }

  record(error: RecordError | null): ConnectionRecord {
    const { authority, choice, policy, override } = this.#plan;
    const leaf = choice.entry?.identity?.facts[0];
    return {
      event: error ? 'tls.failed' : 'tls.connected',
      connection: this.id,
      started: this.#time,
      authority: authority.text,
      address: this.#address,
      local: this.#local,
      via: this.#via,
      tls: this.#tls,
      server: { chain: this.#chain.map(certificateFacts) },
      verification: {
        mode: policy.mode,
        rule: policy.rule,
        override,
        authorized: this.#verdict.authorized,
        problems: this.#verdict.problems,
      },
      client_certificate: {
        requested: this.#requested,
        sent: this.sent,
        outcome: this.#outcome,
        name: choice.entry?.name ?? null,
        subject: leaf?.subject ?? null,
        fingerprint256: leaf?.fingerprint256 ?? null,
        reason: choice.reason,
      },
      ms: {
        dns: round(this.ms.dns),
        connect: round(this.ms.connect),
        tls: round(this.ms.tls),
        settle: round(this.ms.settle),
      },
      error,
    };
  }
}

function endpoint(ip: string | undefined, port: number | undefined): Endpoint | null {
  return ip === undefined || port === undefined ? null : { ip, port, family: isIP(ip) === 6 ? 6 : 4 };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
