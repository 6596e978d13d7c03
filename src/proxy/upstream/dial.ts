/**
 * One upstream connection, from a plan to a TLS socket that may be written to: TCP (or another proxy's tunnel), TLS with the
 * plan's identity and policy, verdict. The connection's record holds what is learnt on the way, and is logged once.
 */
import type { X509Certificate } from 'node:crypto';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { ClientIdentity } from '../../certs/identity/identity.ts';
import type { Policy } from '../../certs/store/policy.ts';
import type { Authority } from '../../core/authority.ts';
import { hintAt, MtlsdError } from '../../core/errors.ts';
import { certificateSentence } from '../../inspect/records/client-certificate.ts';
import type { ConnectionRecord } from '../../inspect/records/types.ts';
import type { Verdict } from '../../inspect/verify/verdict.ts';
import { type Handshake, handshake, settleCapMs } from '../../tls/handshake.ts';
import { verifyError } from '../../tls/observed.ts';
import { chainReader, earlyVerifyError } from '../../tls/peer-chain.ts';
import { classify } from '../failure/classify.ts';
import { handshakeError, rejected } from '../failure/refusal.ts';
import { UpstreamConnection } from './connection.ts';
import { type DialPlan, RecordDraft } from './record-draft.ts';
import type { TcpConnection } from './tcp.ts';

export interface DialerOptions {
  readonly openTcp: (authority: Authority) => Promise<TcpConnection & { readonly via: string | null }>;
  readonly contextFor: (identity: ClientIdentity | null, policy: Policy) => SecureContext;
  /** Origins that show a leaf of our own local CA are refused. */
  readonly localCa: () => readonly X509Certificate[];
  readonly tlsTimeoutMs: number;
  readonly onRecord: (record: ConnectionRecord) => void;
  readonly onKeylog: ((line: Buffer) => void) | null;
}

/**
 * @param signal where the connection is no longer wanted; no certificate is sent after that
 * @throws MtlsdError as classified; the record of the failed connection is out by then, its id in `connection`
 */
export type Dial = (plan: DialPlan, signal?: AbortSignal) => Promise<UpstreamConnection>;

export function createDialer(options: DialerOptions): Dial {
  const chains = chainReader();

  return async (plan, signal) => {
    const { entry } = plan.choice;
    const identity = entry?.identity ?? null;
    const draft = new RecordDraft(plan, identity, false);
    const careful = identity !== null && entry?.withholdUnverified === true;
    const attempt = await shake(plan, draft, identity, careful, signal);
    const { verdict } = attempt;
    // The server was judged before our certificate was sent, and is not verified: report mode connects again without it.
    if (!draft.withheld || !verdict?.proceed) return conclude(draft, attempt);
    const bare = new RecordDraft(plan, null, true);
    return conclude(bare, await shake(plan, bare, null, false, signal));
  };

  interface Attempt extends Handshake {
    /** null where the server was not seen well enough to be judged. */
    readonly verdict: Verdict | null;
  }

  /** @param careful judge before the certificate is sent, and end the handshake where the server is not verified */
  async function shake(
    plan: DialPlan,
    draft: RecordDraft,
    identity: ClientIdentity | null,
    careful: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Attempt> {
    let tcp: TcpConnection & { readonly via: string | null };
    try {
      tcp = await options.openTcp(plan.authority);
    } catch (error) {
      throw publishFailure(draft, classify(error, 'connect', plan.authority.text));
    }
    draft.tcp(tcp);
    const started = performance.now();
    const serverName = plan.policy.serverName ?? plan.authority.host;
    let verdict: Verdict | null = null;
    const judge = (socket: TLSSocket, opensslError: string | null, staple: Buffer | null): Verdict =>
      draft.judged(socket, serverName, options.localCa(), opensslError, chains, staple);
    const { socket, failure, staple } = await handshake({
      transport: tcp.socket,
      secureContext: options.contextFor(identity, withReportedVersions(plan.policy)),
      serverName,
      alpn: plan.alpn,
      timeoutMs: options.tlsTimeoutMs,
      ...(signal && { signal }),
      askStaple: plan.policy.revocation.mode !== 'off',
      onKeylog: options.onKeylog,
      onSeen: (seen) => {
        draft.seen(seen, serverName, false);
        // A connection without the certificate gets a verdict, also where the server ends it because it requires one.
        if (draft.withheld && draft.requested === true && !verdict) verdict = judge(seen, earlyVerifyError(seen), null);
      },
      ...(careful && {
        mayPresent: (seen: TLSSocket, early: Buffer | null) => {
          draft.seen(seen, serverName, true);
          verdict = judge(seen, earlyVerifyError(seen), early);
          if (!verdict.accepted) draft.withhold();
          return verdict.accepted;
        },
      }),
    });
    draft.ms.tls = performance.now() - started;
    // No request waits for it, and our certificate was not sent: nothing worth a record.
    if (failure === 'stopped' && signal?.aborted) throw handshakeError(draft, failure);
    if (failure === null) {
      draft.seen(socket, serverName, true);
      try {
        verdict = judge(socket, verifyError(socket), staple);
      } catch (error) {
        socket.destroy();
        throw error;
      }
    }
    return { socket, failure, staple, verdict };
  }

  /** The end of a dial: a connection to write to, or why there is none; recorded either way. */
  function conclude(draft: RecordDraft, { socket, failure, verdict }: Attempt): UpstreamConnection {
    if (verdict && !verdict.proceed) {
      socket.destroy();
      throw publishFailure(draft, rejected(draft.where, verdict));
    }
    if (failure !== null || socket.destroyed) {
      socket.destroy();
      throw publishFailure(draft, handshakeError(draft, failure ?? 'closed'));
    }
    // A TLS 1.3 handshake is a round trip all the way, where the connection may end at a proxy near by.
    const capMs = settleCapMs(Math.max(draft.ms.connect, draft.ms.tls));
    const settlingSince = performance.now();
    if (draft.requested === true && socket.getProtocol() === 'TLSv1.3')
      return new UpstreamConnection(
        socket,
        draft.record(null),
        {
          capMs,
          accepted: (settleMs) => {
            draft.ms.settle = settleMs;
            return published(draft.record(null));
          },
          refused: (error, written) => {
            draft.ms.settle = performance.now() - settlingSince;
            return publishFailure(draft, handshakeError(draft, error ?? 'closed'), !written);
          },
        },
        0,
        draft.standing,
      );
    // Without a request there is nothing to refuse.
    return new UpstreamConnection(
      socket,
      published(draft.record(null)),
      null,
      draft.requested === true ? capMs : 0,
      draft.standing,
    );
  }

  function published(record: ConnectionRecord): ConnectionRecord {
    options.onRecord(record);
    return record;
  }

  function publishFailure(draft: RecordDraft, error: MtlsdError, nothingSent = true): MtlsdError {
    const { code, message, alert, problems, cause } = error;
    const hint = hintAt(error.hint, draft.where);
    const record = published(draft.record({ code, message, hint, alert }));
    const certificate = certificateSentence(record.client_certificate);
    const connection = draft.id;
    return new MtlsdError(code, message, { hint, problems, alert, certificate, connection, nothingSent, cause });
  }
}

/**
 * In report mode the version is judged after the handshake, like the rest; without a rule the oldest is TLS 1.2. Enforce
 * mode never agrees on a version that is too old, so no certificate is shown on it.
 */
function withReportedVersions(policy: Policy): Policy {
  const judged = policy.mode === 'report' || policy.allow.includes('TLS_VERSION_TOO_LOW');
  return judged && policy.minVersion === 'TLSv1.3' ? { ...policy, minVersion: 'TLSv1.2' } : policy;
}
