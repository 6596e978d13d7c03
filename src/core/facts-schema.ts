/** X.509 (RFC 5280) as plain data: the shape that log, API, page, store and verdict share. */
import { Type } from 'typebox';
import { closed, nullable, type Plain } from './schema.ts';

/** Subject or issuer: its common attributes. The one line beside it holds all of them. */
const NameFacts = Type.Object(
  {
    common_name: nullable(Type.String()),
    organization: nullable(Type.String()),
    organizational_unit: nullable(Type.String()),
    country: nullable(Type.String()),
    state: nullable(Type.String()),
    locality: nullable(Type.String()),
  },
  closed,
);
export type NameFacts = Plain<typeof NameFacts>;

export const FactsSchema = Type.Object(
  {
    subject: Type.String({ description: 'One line, most specific attribute first: `CN=leaf, O=Example`.' }),
    issuer: Type.String(),
    subject_name: NameFacts,
    issuer_name: NameFacts,
    sans: Type.Array(Type.String({ description: '`DNS:…`, `IP:…`, `EMAIL:…`, `URI:…`' })),
    not_before: Type.String({
      description: 'RFC 3339, UTC; `unknown` where the certificate holds no readable time.',
    }),
    not_after: Type.String(),
    serial: Type.String(),
    fingerprint256: Type.String(),
    fingerprint1: Type.String(),
    spki256: Type.String({ description: 'base64 SHA-256 of the public key; with `sha256/` in front it is a pin.' }),
    /** Issuer is subject and the signature verifies with its own key. */
    self_signed: Type.Boolean(),
    ca: Type.Boolean(),
    key: Type.String({ description: '`EC P-256`, `RSA 2048`, `Ed25519`.' }),
    /** `ecdsa-with-SHA256` */
    signature: Type.String(),
    /** By name (`serverAuth`) or OID; null where the extension is absent. */
    extended_key_usage: nullable(Type.Array(Type.String())),
  },
  { ...closed, $id: 'CertificateFacts', description: 'What a certificate says.' },
);
export type CertificateFacts = Plain<typeof FactsSchema>;
