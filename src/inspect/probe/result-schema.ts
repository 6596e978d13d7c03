/** What a probe says: plain data. */
import { Type } from 'typebox';
import { FactsSchema } from '../../core/facts-schema.ts';
import { closed, named, nullable, type Plain, shapeOf, Time } from '../../core/schema.ts';
import { EndpointSchema, Mode, RevocationSchema, ServerProblemSchema } from '../records/types.ts';
import type { Outcome } from './attempt.ts';

const version = Type.Enum(['TLSv1.3', 'TLSv1.2', 'TLSv1.1', 'TLSv1']);
const Text = nullable(Type.String());
/** null where the handshake ended before that was known. */
const Truth = nullable(Type.Boolean());

const Attempt = Type.Object(
  {
    version,
    certificate: Type.Enum(['none', 'ours']),
    outcome: shapeOf<Outcome>(Type.String()),
    /** Whether the server asked for a client certificate. */
    requested: Truth,
    /** Whether ours was in the handshake: false too where the server takes no key of its type. */
    sent: Truth,
    cipher: Text,
    alpn: Text,
    alert: nullable(
      Type.Object({ number: Type.Integer(), name: Type.String(), meaning: Type.String(), hint: Type.String() }, closed),
    ),
    error: Text,
    ms: Type.Number(),
  },
  closed,
);
export type ProbeAttempt = Plain<typeof Attempt>;

export const ProbeResultSchema = Type.Object(
  {
    authority: Type.String(),
    time: Time,
    address: nullable(EndpointSchema),
    server_name: Text,
    attempts: Type.Array(Attempt),
    /** All four, newest first. */
    versions: Type.Array(Type.Object({ version, offered: Type.Boolean() }, closed)),
    /** IANA names, in the order in which the server took them; empty where it was not asked. */
    ciphers: Type.Array(Type.Object({ version, suites: Type.Array(Type.String()) }, closed)),
    /** Of `h2` and `http/1.1`, those that the server speaks by ALPN. */
    alpn: Type.Array(Type.String()),
    server: Type.Object(
      {
        /** Leaf first, with the anchor where it is known. */
        chain: Type.Array(named(FactsSchema)),
        sent: Type.Array(named(FactsSchema), { description: 'Exactly what the server sent, in its order.' }),
        pem: Type.Array(Type.String(), { description: 'The same, as PEM.' }),
      },
      closed,
    ),
    verification: Type.Object(
      {
        /** False where no handshake came far enough for OpenSSL's verdict, and the certificates alone were judged. */
        complete: Type.Boolean(),
        mode: Mode,
        authorized: Type.Boolean({ description: 'True only where no problem was found.' }),
        allowed: Type.Array(Type.String(), { description: 'Codes of the problems that a rule lets through.' }),
        problems: Type.Array(named(ServerProblemSchema)),
        /** null for `revocation: off`. */
        revocation: nullable(named(RevocationSchema)),
      },
      closed,
    ),
    client_certificate: Type.Object(
      {
        requested: Truth,
        /** Whether the handshake fails without one. */
        required: Truth,
        /** CAs that the server names; none named means any. */
        ca_names: Type.Array(Type.String()),
        signature_algorithms: Type.Array(Type.String()),
        certificate_types: Type.Array(Type.String()),
        /** Whether an issuer of ours is among the names; null without certificate or names. */
        issuer_named: Truth,
        /** Who issued the last certificate of ours; null for a self-signed one, and without ours. */
        issuer: Text,
        /** The outcome for ours; null without ours. */
        ours: shapeOf<Outcome | null>(Text),
      },
      closed,
    ),
    /** Why nothing was learnt; null where any handshake got an answer. */
    error: Text,
  },
  closed,
);
export type ProbeResult = Plain<typeof ProbeResultSchema>;
