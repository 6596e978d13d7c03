/**
 * What log, API and page say of a connection and of an exchange: plain data, never a socket.
 * Field names are the contract's (and thus snake_case), so that nothing translates between rooms.
 */
import type { ErrorCode, Problem, ToldAlert } from '../../core/errors.ts';
import type { CertificateFacts } from '../../core/facts.ts';
import type { RevocationFacts } from '../verify/revocation.ts';

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
  readonly family: 4 | 6;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly cipher_standard_name: string;
  readonly alpn: string | null;
  readonly server_name: string | null;
  /** `size` is null for hybrid groups such as X25519MLKEM768, of which Node tells none. */
  readonly ephemeral_key: { readonly type: string; readonly name: string | null; readonly size: number | null } | null;
}

export interface VerificationFacts {
  readonly mode: 'enforce' | 'report';
  /** The rule that set the policy, as `host:port`; null for the global one. */
  readonly rule: string | null;
  /** Where the mode came from the request. */
  readonly override: boolean;
  /** No problem found: neither mode report nor a rule's `allow` list makes it true. */
  readonly authorized: boolean;
  /** Codes of the problems that the rule's `allow` list let through. */
  readonly allowed: readonly string[];
  readonly problems: readonly Problem[];
  /** What CRLs and the OCSP staple say; null where nobody looked: `revocation: off`, or no certificate was seen. */
  readonly revocation: RevocationFacts | null;
}

/** Four different things, and the two that a rule or an error adds. */
export type ClientCertificateOutcome =
  | 'sent' // asked for and sent
  | 'not_requested' // configured or not, the server never asked
  | 'none_configured' // asked for, nothing to send
  | 'not_sendable' // asked for, ours is of a key type or signature the server does not take
  | 'withheld' // withhold_unverified, and the server failed verification
  | 'unknown'; // the handshake ended before it could be told

export interface ClientCertificateFacts {
  /** null where the handshake ended before it could be told. */
  readonly requested: boolean | null;
  readonly sent: boolean;
  readonly outcome: ClientCertificateOutcome;
  /** The entry chosen, sent or not; null for none. */
  readonly name: string | null;
  readonly subject: string | null;
  readonly fingerprint256: string | null;
  /** Who issued the last certificate of its chain; null for a self-signed one. */
  readonly issuer: string | null;
  /** Why this entry, or why none: `exact host and port`. */
  readonly reason: string;
}

export interface RecordError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly alert: ToldAlert | null;
}

export interface ConnectionRecord {
  readonly event: 'tls.connected' | 'tls.failed';
  readonly connection: string;
  /** RFC 3339, UTC: when dialling began. */
  readonly started: string;
  readonly authority: string;
  /** Of the server; null where a proxy upstream alone knows it. */
  readonly address: Endpoint | null;
  readonly local: Endpoint | null;
  /** The proxy upstream, without credentials, where there is one. */
  readonly via: string | null;
  readonly tls: TlsFacts | null;
  /** What the server sent, in its order, and after it the anchor that it leads to where that was not sent. */
  readonly server: { readonly chain: readonly CertificateFacts[] };
  readonly verification: VerificationFacts;
  readonly client_certificate: ClientCertificateFacts;
  readonly ms: { readonly dns: number; readonly connect: number; readonly tls: number; readonly settle: number };
  readonly error: RecordError | null;
}

export interface ExchangeRecord {
  readonly event: 'exchange';
  readonly exchange: string;
  /** null where no upstream connection was reached. */
  readonly connection: string | null;
  readonly started: string;
  readonly client: string;
  readonly method: string;
  readonly authority: string;
  /** Without its query unless `log.query` is set. */
  readonly path: string;
  /** What the client spoke: `1.1`, `2`. */
  readonly http: string;
  /** What the origin spoke; null where it was not reached. */
  readonly upstream_http: string | null;
  readonly status: number | null;
  readonly request_bytes: number;
  readonly response_bytes: number;
  /** The entry chosen for the authority. */
  readonly certificate: string | null;
  /** As of its connection; null without TLS. */
  readonly authorized: boolean | null;
  /** As of its connection. */
  readonly allowed: readonly string[];
  readonly reused: boolean;
  readonly ms: {
    readonly total: number;
    readonly connect: number;
    readonly tls: number;
    /** From the request's head to the response's. */
    readonly wait: number;
    /** From the response's head to its end. */
    readonly body: number;
  };
  /** What the client asked of the daemon in Mtlsd- fields or as its proxy user. */
  readonly overrides: {
    readonly verification?: string;
    readonly certificate?: string;
    readonly profile?: string;
  } | null;
  /** Host field or SNI that differ from the authority; recorded, never followed. */
  readonly mismatch: { readonly host?: string; readonly server_name?: string } | null;
  /** A page of another site made the request, and what `cross_site` of the entry did; null for everything else. */
  readonly cross_site: { readonly origin: string | null; readonly action: 'allow' | 'withhold' | 'refuse' } | null;
  readonly error: RecordError | null;
}
