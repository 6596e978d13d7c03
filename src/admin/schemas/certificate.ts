/** An entry of the store as the API takes and gives it. */
import { type Static, type TSchema, Type } from 'typebox';
import { DiagnosisSchema } from '../../certs/identity/identity.ts';
import type { RenewalStatus } from '../../certs/renewal/renewer.ts';
import { CertificateSchema, RenewSchema } from '../../certs/store/schema.ts';
import { FactsSchema } from '../../core/facts-schema.ts';
import type { Plain } from '../../core/schema.ts';
import { closed, named, nullable, shapeOf, text, Time } from './common.ts';

const Passphrase = Type.Union(
  [
    Type.Object({ env: Type.String() }, closed),
    Type.Object({ file: Type.String() }, closed),
    Type.Object({ command: Type.Array(Type.String()) }, closed),
    Type.Object({ text: Type.Literal(true, { description: 'It is in certificates.yaml itself.' }) }, closed),
    Type.Null(),
  ],
  { description: 'Where the passphrase comes from; never the passphrase.' },
);

/** A path, or where the content comes from. */
const material = (description: string) =>
  Type.Union(
    [
      Type.String(),
      Type.Object({ env: Type.String() }, closed),
      Type.Object({ command: Type.Array(Type.String()), refresh: Type.Optional(Type.String()) }, closed),
      Type.Null(),
    ],
    { description },
  );

/** That one of est, step and command is given is the store's to say: linters of OpenAPI take `required` in a choice for a slip. */
const Renew = Type.Object(RenewSchema.properties, {
  ...closed,
  description: 'How it is renewed: one of est, step and command.',
  errorMessage: '{ est: URL }, { step: URL } or { command: [PROGRAM, ARGUMENT, ...] }',
});

const RenewalStatusSchema = shapeOf<RenewalStatus | null>(
  nullable(
    Type.Object(
      {
        last: nullable({ ...Time, description: 'The last renewal.' }),
        next: nullable({
          ...Time,
          description: 'The next try; null while one is under way, and where none is possible.',
        }),
        last_error: nullable(Type.String({ description: 'Why the last try failed; null where it did not.' })),
        failures: Type.Integer({ description: 'Tries that failed in a row.' }),
        fingerprint_before: nullable(
          Type.String({ description: 'Of the certificate that the last renewal replaced.' }),
        ),
        fingerprint_after: nullable(Type.String()),
      },
      { ...closed, description: 'null where it is not renewed, or no daemon runs.' },
    ),
  ),
);

export const EntrySchema = Type.Object(
  {
    name: Type.String(),
    host: Type.String(),
    port: Type.Union([Type.Integer(), Type.Literal('*')]),
    cert: material('As written; a path is relative to certificates.yaml.'),
    key: material('The private key, where it is not with the certificate.'),
    pfx: material('A PKCS#12 file.'),
    alias: nullable(Type.String()),
    passphrase: Passphrase,
    enabled: Type.Boolean(),
    profile: nullable(Type.String()),
    withhold_unverified: Type.Boolean(),
    cross_site: Type.Union([Type.Enum(['withhold', 'allow', 'refuse']), Type.Array(Type.String())], {
      description: "Requests of other sites' pages; a list holds the origins that are allowed.",
    }),
    renew: nullable(Renew),
    line: Type.Integer({ description: 'Its line in certificates.yaml.' }),
    usable: Type.Boolean({ description: 'False: it still matches, and its exchanges fail closed.' }),
    facts: Type.Array(named(FactsSchema), { description: 'Leaf first; empty where it could not be loaded.' }),
    problems: Type.Array(named(DiagnosisSchema)),
    days_left: nullable(Type.Integer({ description: 'Whole days, rounded down; negative after the end.' })),
    shadowed_by: nullable(Type.String({ description: 'The entry that wins wherever this one matches.' })),
    last_used: nullable(Time),
    renewal: RenewalStatusSchema,
  },
  { ...closed, $id: 'Entry', description: 'A client certificate and the hosts that it is for.' },
);
export type EntryAnswer = Plain<typeof EntrySchema>;

const uploads = {
  cert_pem: Type.Optional(
    text('PEM text in place of `cert`, with or without its chain and key.', 'PEM text', {
      minLength: 1,
      maxLength: 500_000,
    }),
  ),
  key_pem: Type.Optional(text('PEM text in place of `key`.', 'PEM text', { minLength: 1, maxLength: 100_000 })),
  pfx_base64: Type.Optional(
    text('A PKCS#12 file in base64 in place of `pfx`.', 'base64', {
      minLength: 1,
      maxLength: 700_000,
      pattern: '^[A-Za-z0-9+/\\s]+={0,2}\\s*$',
    }),
  ),
};

/** The store's own fields, and the content of a file in place of its path. */
export const EntryBody = Type.Object(
  { ...CertificateSchema.properties, renew: Type.Optional(Renew), ...uploads },
  {
    ...closed,
    description:
      'One of cert, cert_pem, pfx and pfx_base64. A passphrase given as text is kept in a file of its own (0600).',
    errorMessage: 'an object with host, and cert or pfx',
  },
);
export type EntryBody = Static<typeof EntryBody>;

/** Any of them; null takes one out. */
type EntryChanges = { -readonly [K in keyof EntryBody]?: EntryBody[K] | null };
export const EntryPatch = shapeOf<EntryChanges>(
  Type.Object(
    Object.fromEntries(
      Object.entries(EntryBody.properties).map(([key, schema]) => [
        key,
        Type.Optional(
          key === 'name' || key === 'host'
            ? schema
            : Type.Union([schema, Type.Null()], { errorMessage: expectation(schema) }),
        ),
      ]),
    ),
    { ...closed, minProperties: 1, description: 'Fields to set; null takes one out.', errorMessage: 'fields to set' },
  ),
);
export type EntryPatch = Static<typeof EntryPatch>;

function expectation(schema: TSchema): string {
  const { errorMessage } = schema as { errorMessage?: string };
  return errorMessage === undefined ? 'another value, or null' : `${errorMessage}; or null`;
}

const { cert, key, pfx, alias, passphrase } = CertificateSchema.properties;
export const InspectBody = Type.Object(
  { cert: Type.Optional(cert), key, pfx: Type.Optional(pfx), alias, passphrase, ...uploads },
  { ...closed, description: 'As of an entry, without the host.', errorMessage: 'an object with cert or pfx' },
);
export type InspectBody = Static<typeof InspectBody>;

export const InspectAnswer = Type.Object(
  {
    usable: Type.Boolean({ description: 'Whether an entry made of it would load.' }),
    facts: Type.Array(named(FactsSchema)),
    problems: Type.Array(named(DiagnosisSchema)),
    days_left: nullable(Type.Integer()),
  },
  { ...closed, $id: 'Inspection', description: 'What is in files, and whether they are usable.' },
);
export type InspectAnswer = Plain<typeof InspectAnswer>;
