/**
 * certificates.yaml, defined once: the TypeScript types, the validation at load and `config/certificates.schema.json` all
 * come from here. `errorMessage` says what was expected; editors that know the keyword show it too.
 */
import { Type } from 'typebox';
import { choice, closed, flag, list, type Plain } from '../../core/schema.ts';

const quoted = (value: string): string => JSON.stringify(value);

/** A name goes into URLs, log lines and the Mtlsd-Certificate field, so it holds nothing that needs escaping there. */
const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

/** One line: PEM text pasted in place of a path must not end up in a message about a missing file. */
const PATH_PATTERN = '^[^\\r\\n\\u0000]{1,4096}$';

const name = (description: string) =>
  Type.String({
    pattern: NAME_PATTERN,
    // `Mtlsd-Certificate: none` means no certificate at all.
    not: { const: 'none' },
    description,
    errorMessage: 'up to 100 letters, digits, ".", "_" or "-", starting with a letter or digit, and not "none"',
  });

const path = (description: string) =>
  Type.String({ pattern: PATH_PATTERN, description, errorMessage: 'a path, relative to this file or absolute' });

const hostPattern = Type.String({
  // A URL, a port or white space in here is the commonest mistake; the loader checks the rest (IDN, label lengths).
  pattern: '^(\\*|(\\*\\.)?[^\\s/:*@?#\\\\\\[\\]]+|\\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\\]?)$',
  description: 'An exact host name, "*.suffix" (any depth, not the apex), "*" for every host, or an IP address.',
  errorMessage: 'a host alone: an exact name, "*.suffix", "*" or an IP address',
});

const port = Type.Union([Type.Integer({ minimum: 1, maximum: 65535 }), Type.Literal('*')], {
  default: 443,
  description: 'The port, 443 when left out; "*" is any port.',
  errorMessage: 'a port from 1 to 65535, or "*" in quotes for any port',
});

const Passphrase = Type.Union(
  [
    Type.String({ description: 'The passphrase itself. Better kept outside this file.' }),
    Type.Object(
      { env: Type.String({ pattern: '^[^=\\s]+$', description: "A variable of the daemon's environment." }) },
      closed,
    ),
    Type.Object(
      { file: Type.String({ minLength: 1, description: 'A file that holds it; a last line break is left off.' }) },
      closed,
    ),
    Type.Object(
      {
        command: Type.Array(Type.String(), {
          minItems: 1,
          description: 'A program and its arguments, run without a shell; its output is the passphrase.',
        }),
      },
      closed,
    ),
  ],
  {
    description: 'What unlocks the key or the PFX.',
    errorMessage: 'text in quotes, or { env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
  },
);

/** A file, or where its content comes from; nothing of the latter is written to disk. */
const material = (description: string) =>
  Type.Union(
    [
      path(description),
      Type.Object(
        {
          env: Type.String({
            pattern: '^[^=\\s]+$',
            description: "A variable of the daemon's environment: PEM text, or base64.",
          }),
        },
        closed,
      ),
      Type.Object(
        {
          command: Type.Array(Type.String(), {
            minItems: 1,
            description: 'A program and its arguments, run without a shell; its output is what the file would hold.',
          }),
          refresh: Type.Optional(
            Type.String({
              pattern: '^[1-9]\\d{0,5}(s|m|h)$',
              description: 'How often it is run again; only at the start and when the entry changes where left out.',
              errorMessage: 'a duration such as 30s, 15m or 12h',
            }),
          ),
        },
        closed,
      ),
    ],
    {
      description,
      errorMessage:
        'a path, relative to this file or absolute; or { env: NAME }, or { command: [PROGRAM, ARGUMENT, ...] }',
    },
  );

const caAddress = (description: string) =>
  Type.String({
    // The loader checks the rest: no user, no query.
    pattern: '^https://[^\\s/?#]+',
    description,
    errorMessage: 'an https URL',
  });

const Renew = Type.Object(
  {
    est: Type.Optional(
      caAddress('An EST server (RFC 7030): https://ca.example/.well-known/est, with a label where there is one.'),
    ),
    step: Type.Optional(caAddress('A step-ca: https://ca.example.')),
    command: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description:
          'A program that prints the new certificate as PEM, with its key where that is new, or replaces the files. It gets MTLSD_ENTRY, MTLSD_HOST, MTLSD_CERT and MTLSD_KEY.',
        errorMessage: 'a program and its arguments such as [./renew.sh]',
      }),
    ),
    trust: list(
      path('A PEM or DER file of CA certificates.'),
      "The CAs that are trusted for the CA's server; default: those that the store trusts.",
      'a list of paths of CA certificates',
      { minItems: 1 },
    ),
    after: Type.Optional(
      Type.Union([Type.String({ pattern: '^\\d{1,3}/\\d{1,3}$' }), Type.Number({ minimum: 0.05, maximum: 0.95 })], {
        default: '2/3',
        description: 'The share of the lifetime after which it is renewed.',
        errorMessage: 'a share between 0.05 and 0.95, such as 2/3 or 0.5',
      }),
    ),
    rekey: flag('false keeps the key.', true),
  },
  {
    ...closed,
    description: 'How the certificate is renewed.',
    errorMessage: '{ est: URL }, { step: URL } or { command: [PROGRAM, ARGUMENT, ...] }',
    oneOf: [{ required: ['est'] }, { required: ['step'] }, { required: ['command'] }],
  },
);

const CrossSite = Type.Union(
  [
    Type.Enum(['withhold', 'allow', 'refuse']),
    Type.Array(
      Type.String({
        pattern: '^[A-Za-z][A-Za-z0-9+.-]*://[^\\s/?#@]+/?$',
        errorMessage: 'an origin such as http://localhost:3000',
      }),
      { minItems: 1 },
    ),
  ],
  {
    default: 'withhold',
    description:
      'Requests that a page of another site makes in a browser: withhold sends them without the certificate, refuse answers 403, allow sends the certificate; a list of origins allows those alone.',
    errorMessage: 'withhold, allow, refuse, or a list of origins such as [http://localhost:3000]',
  },
);

const Certificate = Type.Object(
  {
    name: Type.Optional(name('Unique; made from the host when left out.')),
    host: hostPattern,
    port: Type.Optional(port),
    cert: Type.Optional(
      material('The certificate, PEM or DER, with or without its chain (and, when key is left out, the key).'),
    ),
    key: Type.Optional(material('The private key; left out when the cert file holds it too.')),
    pfx: Type.Optional(material('A PKCS#12 file (.pfx, .p12) in place of cert and key.')),
    alias: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Which key of the PFX, by its friendly name, where it holds several.',
        errorMessage: 'the friendly name of a key in the PFX',
      }),
    ),
    passphrase: Type.Optional(Passphrase),
    enabled: flag('false keeps the entry and never uses it.', true),
    profile: Type.Optional(name("Used only by clients that ask for it, as the proxy's user name.")),
    withhold_unverified: flag('true sends the certificate only to a server that passed verification.', false),
    cross_site: Type.Optional(CrossSite),
    renew: Type.Optional(Renew),
  },
  {
    ...closed,
    description: 'A client certificate and the hosts that it is for.',
    errorMessage: 'an entry: host with cert (and key), or with pfx',
    oneOf: [{ required: ['cert'] }, { required: ['pfx'] }],
    dependentRequired: { key: ['cert'], alias: ['pfx'] },
  },
);

const Trust = Type.Object(
  {
    system: flag("The system's trust anchors.", true),
    ca: list(
      path('A PEM or DER file of CA certificates.'),
      'CA certificates that are trusted as well.',
      'a list of paths of CA certificates',
    ),
    crl: list(
      Type.String({
        pattern: PATH_PATTERN,
        description: 'A PEM or DER file of CRLs, or the http URL of one.',
        errorMessage: 'a path, or an http URL',
      }),
      'Lists of the certificates that their CA has revoked (CRLs), beside those named for every host.',
      'a list of paths or http URLs of CRLs',
    ),
  },
  {
    ...closed,
    description: 'Which CAs are trusted for servers, and which certificates they have revoked.',
    errorMessage: '{ system: true or false, ca: [PATH, ...], crl: [PATH or URL, ...] }',
  },
);

const mode = choice(
  ['enforce', 'report'],
  'enforce refuses a server that fails verification; report records every problem and lets it through.',
  'enforce',
  quoted,
);

const revocation = choice(
  ['off', 'when-known', 'required'],
  'when-known refuses a certificate that a CRL or an OCSP staple says is revoked; required refuses too where none says that it is good; off does not look.',
  'when-known',
  quoted,
);

const Rule = Type.Object(
  {
    host: hostPattern,
    port: Type.Optional(port),
    mode,
    revocation,
    trust: Type.Optional(Trust),
    allow: list(
      Type.String({ pattern: '^[A-Z][A-Z0-9_]*$', errorMessage: 'a problem code such as CERT_HAS_EXPIRED' }),
      'Problem codes that are let through while all others are enforced.',
      'a list of problem codes such as [CERT_HAS_EXPIRED]',
    ),
    pins: list(
      Type.String({
        pattern: '^sha256/[A-Za-z0-9+/]{43}=$',
        errorMessage: '"sha256/" and the base64 SHA-256 of a public key',
      }),
      "One of these public keys (SPKI) has to be in the server's chain, as well as all else.",
      'a list of pins such as ["sha256/BASE64="]',
    ),
    min_version: choice(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'], 'The oldest TLS version to agree to.', 'TLSv1.2'),
    max_version: choice(['TLSv1.2', 'TLSv1.3'], 'The newest TLS version to offer.', 'TLSv1.3'),
    server_name: Type.Optional(
      Type.String({
        pattern: '^[^\\s/:*@?#\\\\\\[\\]]+$',
        description: "The name to send as SNI and to verify, in place of the authority's host.",
        errorMessage: 'a host name',
      }),
    ),
  },
  { ...closed, description: 'How one server is verified.', errorMessage: 'a rule: host and what differs for it' },
);

const Verification = Type.Object(
  {
    mode,
    revocation,
    rules: list(Rule, 'Exceptions by host; matched as certificates are.', 'a list of rules'),
  },
  { ...closed, description: 'How servers are verified.', errorMessage: '{ mode: ..., revocation: ..., rules: [...] }' },
);

const Interception = Type.Object(
  {
    mode: choice(
      ['all', 'listed'],
      'all intercepts every host; listed only those with a certificate or a rule.',
      'all',
      quoted,
    ),
    passthrough: list(
      Type.String({
        pattern:
          '^(\\*|(\\*\\.)?[^\\s/:*@?#\\\\\\[\\]]+|\\[[0-9A-Fa-f:.]+\\]|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(:(\\d{1,5}|\\*))?$',
        errorMessage: 'a host, "*.suffix" or address, with ":port" where only one port is meant',
      }),
      'Hosts that are tunnelled untouched; any port unless one is given.',
      'a list of hosts such as ["*.pinned.example", "bank.example:443"]',
    ),
    unmatched: choice(
      ['intercept', 'passthrough', 'refuse'],
      'In mode all: what happens to hosts with no certificate.',
      'intercept',
      quoted,
    ),
  },
  {
    ...closed,
    description: 'Which connections are looked into.',
    errorMessage: '{ mode: ..., passthrough: [...], unmatched: ... }',
  },
);

export const StoreFile = Type.Object(
  {
    version: Type.Literal(1, { description: 'The version of this format.', errorMessage: '1' }),
    certificates: Type.Optional(
      Type.Array(Certificate, { description: 'The client certificates.', errorMessage: 'a list of entries' }),
    ),
    trust: Type.Optional(Trust),
    verification: Type.Optional(Verification),
    interception: Type.Optional(Interception),
  },
  { ...closed, description: 'The certificate store of mtlsd.', errorMessage: 'version: 1 and the sections of a store' },
);

export type StoreFile = Plain<typeof StoreFile>;
export type CertificateFields = Plain<typeof Certificate>;
export type PassphraseFields = Plain<typeof Passphrase>;
export type MaterialFields = NonNullable<CertificateFields['cert']>;
export type RenewFields = Plain<typeof Renew>;
export type TrustFields = Plain<typeof Trust>;
export type VerificationFields = Plain<typeof Verification>;
export type RuleFields = Plain<typeof Rule>;
export type InterceptionFields = Plain<typeof Interception>;

/** The sections as written, with their defaults; field names are the file's own. */
export interface StoreSections {
  readonly trust: Required<TrustFields>;
  readonly verification: {
    readonly mode: 'enforce' | 'report';
    readonly revocation: 'off' | 'when-known' | 'required';
    readonly rules: readonly RuleFields[];
  };
  readonly interception: Required<InterceptionFields>;
}

/**
 * What happens to a request from another site's page: `withhold` sends it without the certificate, `refuse` answers 403. A list
 * holds the allowed origins, as a browser serializes them (RFC 6454 §6.2); all others are withheld.
 */
export type CrossSite = 'withhold' | 'allow' | 'refuse' | readonly string[];

export { Certificate as CertificateSchema, Renew as RenewSchema, Rule as RuleSchema, Trust as TrustSchema };
export { Interception as InterceptionSchema, Verification as VerificationSchema };
