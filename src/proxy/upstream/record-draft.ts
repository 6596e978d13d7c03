/** What is learnt of an upstream connection on its way, until it is a record. */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ClientIdentity } from '../../certs/identity/identity.ts';
import type { Policy } from '../../certs/store/policy.ts';
import type { CertificateChoice } from '../../certs/store/snapshot.ts';
import type { Authority } from '../../core/authority.ts';
import type { Problem } from '../../core/errors.ts';
import { type Validity, validityOf } from '../../core/extensions.ts';
import { certificateFacts } from '../../core/facts.ts';
import { nextId } from '../../core/ids.ts';
import type {
  ClientCertificateFacts,
  ConnectionRecord,
  Endpoint,
  RecordError,
  TlsFacts,
} from '../../inspect/records/types.ts';
import { isRevoked } from '../../inspect/verify/revocation.ts';
import { judge, type Verdict, withAnchor } from '../../inspect/verify/verdict.ts';
import { observed } from '../../tls/observed.ts';
import type { ChainReader } from '../../tls/peer-chain.ts';
import { isSendable, sharedAlgorithms, takenKeys } from '../../tls/sendable.ts';
import type { Standing } from './connection.ts';
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

/** Collects what becomes a ConnectionRecord; every field has its value for "not reached". */
export class RecordDraft {
  readonly id = nextId('c');
  readonly ms = { dns: 0, connect: 0, tls: 0, settle: 0 };
  readonly #plan: DialPlan;
  readonly #identity: ClientIdentity | null;
  #withheld: boolean;
  readonly #started = new Date();
  #address: Endpoint | null = null;
  #local: Endpoint | null = null;
  #via: string | null = null;
  #tls: TlsFacts | null = null;
  #sent: readonly X509Certificate[] | null = null;
  #chain: readonly X509Certificate[] = [];
  #verdict: Verdict = {
    problems: [],
    authorized: false,
    allowed: [],
    accepted: false,
    proceed: false,
    path: [],
    revocation: null,
    spans: [],
  };
  /** Whether the server asked for a client certificate; null where the handshake ended before that is known. */
  requested: boolean | null = null;
  /** Where it asked, and takes no key of the kind that we have. */
  mismatch: { readonly ours: string; readonly takes: string } | null = null;
  #outcome: ClientCertificateFacts['outcome'] = 'unknown';

  constructor(plan: DialPlan, identity: ClientIdentity | null, withheld: boolean) {
    this.#plan = plan;
    this.#identity = identity;
    this.#withheld = withheld;
  }

  /** The certificate is kept back: the server is not verified, or was found not to be a moment ago. */
  get withheld(): boolean {
    return this.#withheld;
  }

  /** The server was judged before the certificate left, and is not verified. */
  withhold(): void {
    this.#withheld = true;
    this.#outcome = this.#outcomeOf();
  }

  get sent(): boolean {
    return this.#outcome === 'sent';
  }

  get where(): string {
    return this.#plan.authority.text;
  }

  get problems(): readonly Problem[] {
    return this.#verdict.problems;
  }

  get issuer(): string | null {
    const last = this.#plan.choice.entry?.identity?.facts.at(-1);
    return !last || last.self_signed ? null : last.issuer;
  }

  get name(): string | null {
    return this.#plan.choice.entry?.name ?? null;
  }

  tcp(connection: TcpConnection & { readonly via: string | null }): void {
    const { socket } = connection;
    this.ms.dns = connection.ms.dns;
    this.ms.connect = connection.ms.connect;
    // By way of another proxy the other end is that proxy, which alone knows the server's address.
    this.#address = connection.via === null ? endpoint(socket.remoteAddress, socket.remotePort) : null;
    this.#local = endpoint(socket.localAddress, socket.localPort);
    this.#via = connection.via;
  }

  /**
   * What the handshake has shown: while it runs, at the moment at which it fails, and once it is over.
   * @param flightRead the server's flight is read, so that no algorithms mean that it asked for no certificate
   */
  seen(socket: TLSSocket, serverName: string, flightRead: boolean): void {
    const algorithms = sharedAlgorithms(socket);
    // Without a request there are none; nor, before its end, without a ServerHello, or without a handle.
    if (!flightRead && algorithms.length === 0) return;
    this.requested = algorithms.length > 0;
    if (this.#identity && this.requested && !isSendable(this.#identity.leaf.publicKey, socket))
      this.mismatch = { ours: certificateFacts(this.#identity.leaf).key, takes: takenKeys(socket) };
    this.#outcome = this.#outcomeOf();
    const { protocol, cipher, standardCipher, alpn } = observed(socket);
    const ephemeral = socket.getEphemeralKeyInfo();
    this.#tls = {
      protocol: protocol ?? 'unknown',
      cipher: cipher ?? 'unknown',
      cipher_standard_name: standardCipher ?? 'unknown',
      alpn,
      server_name: isIP(serverName) === 0 ? serverName : null,
      ephemeral_key:
        ephemeral && 'type' in ephemeral
          ? { type: ephemeral.type, name: ephemeral.name ?? null, size: ephemeral.size ?? null }
          : null,
    };
  }

  #outcomeOf(): ClientCertificateFacts['outcome'] {
    if (this.requested === false) return 'not_requested';
    if (this.#withheld) return 'withheld';
    if (this.requested === null) return 'unknown';
    if (this.#identity === null) return 'none_configured';
    return this.mismatch ? 'not_sendable' : 'sent';
  }

  /** @param opensslError null where OpenSSL accepts the chain */
  judged(
    socket: TLSSocket,
    host: string,
    localCa: readonly X509Certificate[],
    opensslError: string | null,
    chains: ChainReader,
    staple: Buffer | null,
  ): Verdict {
    const { policy } = this.#plan;
    // Pins and CRLs are held against the chain of this connection, and not against one that was seen before.
    const again = policy.pins.length > 0 || policy.revocation.sources.length > 0;
    const sent = (this.#sent ??= chains.read(socket, this.#plan.authority.text, opensslError, again)); // it can be read once
    this.#verdict = judge(
      {
        chain: sent,
        opensslError,
        host,
        protocol: socket.getProtocol() ?? 'unknown',
        staple,
        authority: this.#plan.authority,
      },
      {
        mode: policy.mode,
        anchors: policy.trust.certificates,
        allow: policy.allow,
        pins: policy.pins,
        minVersion: policy.minVersion,
        revocation: policy.revocation,
        refuseIssuedBy: localCa,
      },
    );
    this.#chain = withAnchor(sent, this.#verdict);
    return this.#verdict;
  }

  get standing(): Standing {
    const { policy } = this.#plan;
    const { path, revocation, spans } = this.#verdict;
    const asked = revocation !== null && revocation.status !== 'revoked';
    // At the start of the dial: one that ends during the handshake has lapsed, and one that ended before was let through.
    const presented = this.sent ? (this.#identity?.chain ?? []) : [];
    const valid = [...path, ...presented].map(validityOf).filter((validity) => isValidAt(validity, this.#started));
    const all = [...valid.map(({ from, to }) => ({ from, until: to })), ...spans];
    const from = Math.max(...all.map((span) => span.from.getTime()));
    const until = Math.min(...all.map((span) => span.until.getTime()));
    return {
      revoked: () => asked && isRevoked(path, policy.revocation),
      lapsed: () => {
        const now = Date.now();
        return now < from || now >= until;
      },
    };
  }

  record(error: RecordError | null): ConnectionRecord {
    const { authority, choice, policy, override } = this.#plan;
    const leaf = choice.entry?.identity?.facts[0];
    return {
      event: error ? 'tls.failed' : 'tls.connected',
      connection: this.id,
      started: this.#started.toISOString(),
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
        allowed: this.#verdict.allowed,
        problems: this.#verdict.problems,
        revocation: this.#verdict.revocation,
      },
      client_certificate: {
        requested: this.requested,
        sent: this.sent,
        outcome: this.#outcome,
        name: choice.entry?.name ?? null,
        subject: leaf?.subject ?? null,
        fingerprint256: leaf?.fingerprint256 ?? null,
        issuer: this.issuer,
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

/** As OpenSSL reads it: the last second does not count. */
const isValidAt = ({ from, to }: Validity, time: Date): boolean => from <= time && time < to;

function endpoint(ip: string | undefined, port: number | undefined): Endpoint | null {
  return ip === undefined || port === undefined ? null : { ip, port, family: isIP(ip) === 6 ? 6 : 4 };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
