/** Records of exchanges and connections, as the log shows them too. */
import { type Static, Type } from 'typebox';
import { ERROR_CODES, type Problem } from '../../core/errors.ts';
import type { FieldPolicy } from '../../inspect/records/fields.ts';
import type { ConnectionRecord, ExchangeRecord } from '../../inspect/records/types.ts';
import type { RevocationFacts } from '../../inspect/verify/revocation.ts';
import { FactsSchema } from './certificate.ts';
import { closed, named, nullable, shapeOf, Time } from './common.ts';

const Endpoint = Type.Object({ ip: Type.String(), port: Type.Integer(), family: Type.Enum([4, 6]) }, closed);

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

const RecordError = Type.Object(
  {
    code: Type.Enum(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]),
    message: Type.String(),
    hint: Type.String(),
    alert: nullable(Type.Object({ number: Type.Integer(), name: Type.String(), meaning: Type.String() }, closed)),
  },
  { ...closed, $id: 'RecordError', description: 'Why it failed.' },
);

const Tls = Type.Object(
  {
    protocol: Type.String(),
    cipher: Type.String(),
    cipher_standard_name: Type.String(),
    alpn: nullable(Type.String()),
    server_name: nullable(Type.String()),
    ephemeral_key: nullable(
      Type.Object({ type: Type.String(), name: nullable(Type.String()), size: nullable(Type.Integer()) }, closed),
    ),
  },
  closed,
);

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

const mode = Type.Enum(['enforce', 'report']);

export const ConnectionSchema = shapeOf<ConnectionRecord>(
  Type.Object(
    {
      event: Type.Enum(['tls.connected', 'tls.failed']),
      connection: Type.String(),
      started: Time,
      authority: Type.String(),
      address: nullable(Endpoint),
      local: nullable(Endpoint),
      via: nullable(Type.String()),
      tls: nullable(Tls),
      server: Type.Object({ chain: Type.Array(named(FactsSchema)) }, closed),
      verification: Type.Object(
        {
          mode,
          rule: nullable(Type.String()),
          override: Type.Boolean(),
          authorized: Type.Boolean({ description: 'True only where no problem was found.' }),
          allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule let through.' }),
          problems: Type.Array(named(ServerProblemSchema)),
          revocation: nullable(named(RevocationSchema)),
        },
        closed,
      ),
      client_certificate: Type.Object(
        {
          requested: nullable(Type.Boolean()),
          sent: Type.Boolean(),
          outcome: Type.Enum(['sent', 'not_requested', 'none_configured', 'not_sendable', 'withheld', 'unknown']),
          name: nullable(Type.String()),
          subject: nullable(Type.String()),
          fingerprint256: nullable(Type.String()),
          issuer: nullable(Type.String({ description: 'Who issued the last certificate of its chain.' })),
          reason: Type.String(),
        },
        closed,
      ),
      ms: Type.Object(
        { dns: Type.Number(), connect: Type.Number(), tls: Type.Number(), settle: Type.Number() },
        closed,
      ),
      error: nullable(named(RecordError)),
    },
    { ...closed, $id: 'Connection', description: 'One TLS connection to an origin.' },
  ),
);

export const ExchangeSchema = shapeOf<ExchangeRecord>(
  Type.Object(
    {
      event: Type.Literal('exchange'),
      exchange: Type.String(),
      connection: nullable(Type.String()),
      started: Time,
      client: Type.String(),
      method: Type.String(),
      authority: Type.String(),
      path: Type.String({ description: 'Without its query unless `log.query` is set.' }),
      http: Type.String(),
      upstream_http: nullable(Type.String()),
      status: nullable(Type.Integer()),
      request_bytes: Type.Integer(),
      response_bytes: Type.Integer(),
      certificate: nullable(Type.String({ description: 'The entry chosen for the authority.' })),
      authorized: nullable(Type.Boolean({ description: 'True only where no problem was found.' })),
      allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule let through.' }),
      reused: Type.Boolean(),
      ms: Type.Object(
        {
          total: Type.Number(),
          connect: Type.Number(),
          tls: Type.Number(),
          wait: Type.Number(),
          body: Type.Number(),
        },
        closed,
      ),
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
      mismatch: nullable(
        Type.Object({ host: Type.Optional(Type.String()), server_name: Type.Optional(Type.String()) }, closed),
      ),
      cross_site: nullable(
        Type.Object({ origin: nullable(Type.String()), action: Type.Enum(['allow', 'withhold', 'refuse']) }, closed),
      ),
      error: nullable(named(RecordError)),
    },
    { ...closed, $id: 'Exchange', description: 'One request and its response.' },
  ),
);

export const HeadSchema = Type.Object(
  {
    fields: Type.Array(Type.Object({ name: Type.String(), value: Type.String() }, closed), {
      description: 'In the order of the wire.',
    }),
    bytes: nullable(Type.Integer({ description: 'Of the whole head; null where that is not known, as in HTTP/2.' })),
    omitted: Type.Integer({ description: 'Fields that are not here, because a head has more than 16 KiB.' }),
  },
  { ...closed, $id: 'Head', description: 'Header fields of a request or a response.' },
);

export const ExchangeFieldsSchema = Type.Object(
  {
    kept: Type.Enum(['none', 'redacted', 'all'] as const satisfies readonly FieldPolicy[], {
      description: '`records.fields` of the settings.',
    }),
    request: nullable(named(HeadSchema)),
    response: nullable(named(HeadSchema)),
  },
  { ...closed, $id: 'ExchangeFields', description: 'Header fields of one request and its response.' },
);
export type ExchangeFields = Static<typeof ExchangeFieldsSchema>;

export { RecordError as RecordErrorSchema };

/** Filters of every list of exchanges. */
export const ExchangeFilter = {
  host: Type.Optional(
    Type.String({
      maxLength: 300,
      description: "The authority's host, with or without its port.",
      errorMessage: 'a host',
    }),
  ),
  failed: Type.Optional(
    Type.Boolean({
      description: 'Only those with an error or a status of 500 and above; false: only the others.',
      errorMessage: 'true or false',
    }),
  ),
  certificate: Type.Optional(
    Type.String({
      maxLength: 100,
      description: 'Name of the entry that was chosen.',
      errorMessage: 'the name of an entry',
    }),
  ),
};

export const ExchangeList = Type.Object(
  {
    exchanges: shapeOf<readonly ExchangeRecord[]>(Type.Array(named(ExchangeSchema), { description: 'Newest first.' })),
    next: nullable(Type.String({ description: 'Pass it as `before` for older ones; null where there are none.' })),
  },
  { ...closed, $id: 'ExchangeList' },
);
export type ExchangeList = Static<typeof ExchangeList>;
