/**
 * What log, API and page say of a connection and of an exchange: plain data, never a socket. Defined once: the types and the
 * schemas of the API and the log come from here. Field names are the contract's (snake_case), so that rooms need no translation.
 */
import { Type } from 'typebox';
import { ERROR_CODES, type Problem } from '../../core/errors.ts';
import { FactsSchema } from '../../core/facts-schema.ts';
import { closed, named, nullable, type Plain, shapeOf, Time } from '../../core/schema.ts';
import type { RevocationFacts } from '../verify/revocation.ts';

export const EndpointSchema = Type.Object(
  { ip: Type.String(), port: Type.Integer(), family: Type.Enum([4, 6]) },
  closed,
);
export type Endpoint = Plain<typeof EndpointSchema>;

export const ServerProblemSchema = shapeOf<Problem>(
  Type.Object(
    {
      code: Type.String({ description: "OpenSSL's or Node's own name: `CERT_HAS_EXPIRED`." }),
      depth: nullable(Type.Integer({ description: 'Place in the chain, 0 the leaf.' })),
      subject: nullable(Type.String()),
      message: Type.String(),
      hint: Type.String(),
      allowed: Type.Optional(Type.Boolean({ description: 'True where a rule let it through.' })),
    },
    { ...closed, $id: 'ServerProblem', description: 'One thing found wrong with a TLS connection.' },
  ),
);

export const RecordErrorSchema = Type.Object(
  {
    code: Type.Enum(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]),
    message: Type.String(),
    hint: Type.String(),
    alert: nullable(Type.Object({ number: Type.Integer(), name: Type.String(), meaning: Type.String() }, closed)),
  },
  { ...closed, $id: 'RecordError', description: 'Why it failed.' },
);
export type RecordError = Plain<typeof RecordErrorSchema>;

const Tls = Type.Object(
  {
    protocol: Type.String(),
    cipher: Type.String(),
    cipher_standard_name: Type.String(),
    alpn: nullable(Type.String()),
    server_name: nullable(Type.String()),
    /** `size` is null for hybrid groups such as X25519MLKEM768, for which Node has none. */
    ephemeral_key: nullable(
      Type.Object({ type: Type.String(), name: nullable(Type.String()), size: nullable(Type.Integer()) }, closed),
    ),
  },
  closed,
);
export type TlsFacts = Plain<typeof Tls>;

export const RevocationSchema = shapeOf<RevocationFacts>(
  Type.Object(
    {
      mode: Type.Enum(['when-known', 'required']),
      status: Type.Enum(['good', 'revoked', 'unknown'], {
        description: 'good only where every certificate below the trust anchor is known to be.',
      }),
      staple: Type.Object(
        {
          status: Type.Enum(['good', 'revoked', 'unknown', 'stale', 'invalid', 'absent']),
          message: nullable(Type.String()),
          this_update: nullable(Time),
          next_update: nullable(Time),
          revoked_at: nullable(Time),
          reason: nullable(Type.String()),
        },
        { ...closed, description: 'The OCSP response that the server sent along.' },
      ),
      crls: Type.Array(
        Type.Object(
          {
            depth: Type.Integer(),
            subject: Type.String(),
            status: Type.Enum(['good', 'revoked', 'unknown']),
            source: nullable(Type.String({ description: 'The CRL that says so, as the store names it.' })),
            message: nullable(Type.String()),
          },
          closed,
        ),
      ),
    },
    { ...closed, $id: 'Revocation', description: 'What CRLs and the OCSP staple say of a server.' },
  ),
);

export const Mode = Type.Enum(['enforce', 'report']);

/** The outcome for the client certificate. */
const Outcome = Type.Enum([
  'sent', // asked for and sent
  'not_requested', // configured or not, the server never asked
  'none_configured', // asked for, nothing to send
  'not_sendable', // asked for, ours is of a key type or signature that the server does not take
  'withheld', // withhold_unverified, and the server failed verification
  'unknown', // the handshake ended before that was known
]);
export type ClientCertificateOutcome = Plain<typeof Outcome>;

const ClientCertificate = Type.Object(
  {
    /** null where the handshake ended before that was known. */
    requested: nullable(Type.Boolean()),
    sent: Type.Boolean(),
    outcome: Outcome,
    /** The entry chosen, sent or not; null for none. */
    name: nullable(Type.String()),
    subject: nullable(Type.String()),
    fingerprint256: nullable(Type.String()),
    /** null for a self-signed one. */
    issuer: nullable(Type.String({ description: 'Who issued the last certificate of its chain.' })),
    /** Why this entry, or why none: `exact host and port`. */
    reason: Type.String(),
  },
  closed,
);
export type ClientCertificateFacts = Plain<typeof ClientCertificate>;

export const ConnectionSchema = Type.Object(
  {
    event: Type.Enum(['tls.connected', 'tls.failed']),
    connection: Type.String(),
    /** When dialling began. */
    started: Time,
    authority: Type.String(),
    /** Of the server; null where only an upstream proxy knows it. */
    address: nullable(EndpointSchema),
    local: nullable(EndpointSchema),
    /** The upstream proxy, without credentials. */
    via: nullable(Type.String()),
    tls: nullable(Tls),
    /** What the server sent, in its order, and after it the anchor that it leads to where that was not sent. */
    server: Type.Object({ chain: Type.Array(named(FactsSchema)) }, closed),
    verification: Type.Object(
      {
        mode: Mode,
        /** The rule that set the policy, as `host:port`; null for the global one. */
        rule: nullable(Type.String()),
        /** Whether the mode came from the request. */
        override: Type.Boolean(),
        authorized: Type.Boolean({ description: 'True only where no problem was found.' }),
        allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule let through.' }),
        problems: Type.Array(named(ServerProblemSchema)),
        /** null for `revocation: off`, and where no certificate was seen. */
        revocation: nullable(named(RevocationSchema)),
      },
      closed,
    ),
    client_certificate: ClientCertificate,
    ms: Type.Object({ dns: Type.Number(), connect: Type.Number(), tls: Type.Number(), settle: Type.Number() }, closed),
    error: nullable(named(RecordErrorSchema)),
  },
  { ...closed, $id: 'Connection', description: 'One TLS connection to an origin.' },
);
export type ConnectionRecord = Plain<typeof ConnectionSchema>;

export const ExchangeSchema = Type.Object(
  {
    event: Type.Literal('exchange'),
    exchange: Type.String(),
    /** null where no upstream connection was reached. */
    connection: nullable(Type.String()),
    started: Time,
    client: Type.String(),
    method: Type.String(),
    authority: Type.String(),
    path: Type.String({ description: 'Without its query unless `log.query` is set.' }),
    /** What the client spoke: `1.1`, `2`. */
    http: Type.String(),
    /** What the origin spoke; null where it was not reached. */
    upstream_http: nullable(Type.String()),
    status: nullable(Type.Integer()),
    request_bytes: Type.Integer(),
    response_bytes: Type.Integer(),
    certificate: nullable(Type.String({ description: 'The entry chosen for the authority.' })),
    /** Of its connection; null without TLS. */
    authorized: nullable(Type.Boolean({ description: 'True only where no problem was found.' })),
    allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule let through.' }),
    reused: Type.Boolean(),
    ms: Type.Object(
      {
        total: Type.Number(),
        connect: Type.Number(),
        tls: Type.Number(),
        /** From the head of the request to that of the response. */
        wait: Type.Number(),
        /** From the head of the response to its end. */
        body: Type.Number(),
      },
      closed,
    ),
    /** What the client asked of the daemon in Mtlsd- fields or as its proxy user. */
    overrides: nullable(
      Type.Object(
        {
          verification: Type.Optional(Type.String()),
          certificate: Type.Optional(Type.String()),
          profile: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
    /** Host field or SNI that differ from the authority; recorded, never followed. */
    mismatch: nullable(
      Type.Object({ host: Type.Optional(Type.String()), server_name: Type.Optional(Type.String()) }, closed),
    ),
    /** What `cross_site` of the entry did with a request of a page of another site; null for all other requests. */
    cross_site: nullable(
      Type.Object({ origin: nullable(Type.String()), action: Type.Enum(['allow', 'withhold', 'refuse']) }, closed),
    ),
    error: nullable(named(RecordErrorSchema)),
  },
  { ...closed, $id: 'Exchange', description: 'One request and its response.' },
);
export type ExchangeRecord = Plain<typeof ExchangeSchema>;
