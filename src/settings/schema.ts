/**
 * mtlsd.yaml, defined once: types, defaults, validation and `config/mtlsd.schema.json` come from here, and a test holds
 * `config/mtlsd.example.yaml` to it.
 */
import { type Static, Type } from 'typebox';
import { choice, closed, flag, list, text } from '../core/schema.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;

const duration = (description: string, fallback: string) =>
  Type.Optional(
    Type.String({
      pattern: '^\\d{1,6}(ms|s|m|h)$',
      description,
      default: fallback,
      errorMessage: 'a duration such as 500ms, 30s, 5m or 1h',
    }),
  );

const count = (description: string, fallback: number) =>
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10_000_000,
      description,
      default: fallback,
      errorMessage: 'a whole number from 1 to 10000000',
    }),
  );

const hosts = (description: string) =>
  list(
    Type.String({
      minLength: 1,
      errorMessage: 'a host, "*.suffix" or address, with ":port" where only one port is meant',
    }),
    description,
    'a list of hosts',
  );

const path = (description: string) => Type.Optional(text(description, 'a path'));

const secret = (description: string, errorMessage: string) =>
  Type.Object(
    { file: Type.Optional(Type.String({ minLength: 1 })), env: Type.Optional(Type.String({ minLength: 1 })) },
    { ...closed, minProperties: 1, maxProperties: 1, description, errorMessage },
  );

const passphrase = (description: string) =>
  Type.Object(
    {
      env: Type.Optional(Type.String({ minLength: 1 })),
      file: Type.Optional(Type.String({ minLength: 1 })),
      command: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    },
    {
      ...closed,
      minProperties: 1,
      maxProperties: 1,
      description,
      errorMessage: '{ env: NAME }, { file: PATH } or { command: [PROGRAM, ARGUMENT, ...] }',
    },
  );

const ProxyRule = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://',
      description: 'http://HOST:PORT or https://HOST:PORT, without credentials.',
      errorMessage: 'http://HOST:PORT or https://HOST:PORT',
    }),
    credentials: Type.Optional(
      secret('Where USER:PASSWORD is.', '{ env: NAME } or { file: PATH }, holding USER:PASSWORD'),
    ),
    ca: path('CA certificates for an https proxy, PEM, in place of those of the system.'),
    cert: path('The client certificate for an https proxy, PEM or DER, with or without its chain.'),
    key: path('Its private key; left out when the certificate file holds it too.'),
    pfx: path('In place of cert and key.'),
    passphrase: Type.Optional(passphrase('Where the passphrase of the key or the PFX is.')),
    hosts: hosts('The authorities it is for; all when left out.'),
    no_proxy: hosts('Authorities that are reached directly.'),
  },
  { ...closed, errorMessage: 'a mapping with url' },
);
export type ProxyRule = Static<typeof ProxyRule>;

const Listener = Type.Object(
  {
    listen: text('A loopback address and port.', 'ADDRESS:PORT, such as 127.0.0.1:9001'),
    to: Type.String({
      pattern: '^(https|tls)://[^/?#@]+/?$',
      description: 'https://HOST[:PORT] for HTTP, tls://HOST:PORT for any other protocol on TLS.',
      errorMessage: 'https://HOST[:PORT] or tls://HOST:PORT',
    }),
    profile: Type.Optional(text('The profile whose certificates are used.', 'a name')),
  },
  { ...closed, errorMessage: 'a mapping with listen and to' },
);

const anAddress = 'ADDRESS:PORT, such as 127.0.0.1:8740';

export const SettingsFile = Type.Object(
  {
    listen: Type.Optional(
      Type.Union(
        [
          text('Where clients reach the proxy.', anAddress),
          Type.Array(text('One address, or unix:PATH.', anAddress), { minItems: 1 }),
        ],
        {
          default: ['127.0.0.1:8740', '[::1]:8740'],
          description:
            'Where clients reach the proxy. Port 0 is any free one. By default ::1 is used where there is IPv6. unix:PATH is a UNIX socket for its owner and the group of its folder.',
          errorMessage: 'ADDRESS:PORT, or a list of them',
        },
      ),
    ),
    admin: Type.Optional(
      text('Where the admin API and the web page are, or unix:PATH.', anAddress, {
        minLength: 1,
        default: '127.0.0.1:8741',
      }),
    ),
    auth: Type.Optional(
      Type.Object(
        {
          password: Type.Optional(
            secret(
              'Where the password is. Any user name is accepted; it is the profile.',
              '{ file: PATH } or { env: NAME }',
            ),
          ),
          users: Type.Optional(
            Type.Record(
              Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' }),
              secret('Where the password of this user is.', '{ file: PATH } or { env: NAME }'),
              {
                ...closed,
                minProperties: 1,
                description:
                  'A password for each user. The user name is the profile: no user gets the certificates of another profile.',
                errorMessage: 'a mapping of user names to { file: PATH } or { env: NAME }',
              },
            ),
          ),
        },
        {
          ...closed,
          minProperties: 1,
          maxProperties: 1,
          description: 'What clients must give as proxy credentials: one password for all, or one for each user.',
          errorMessage: 'a mapping with either password or users',
        },
      ),
    ),
    metrics: Type.Optional(
      Type.Object(
        { listen: text('Where Prometheus reads /metrics.', 'ADDRESS:PORT, such as 0.0.0.0:9464') },
        {
          ...closed,
          description:
            'Serves the metrics alone on an address of their own, to every client that reaches it, without a token.',
          errorMessage: 'a mapping with listen',
        },
      ),
    ),
    ca: Type.Optional(
      Type.Object(
        {
          permitted: list(
            text('A host, with every name below it, an address or a subnet.', 'a host, address or subnet'),
            'What the local CA may sign for, by X.509 name constraints. All hosts when left out. Takes effect when the CA is made.',
            'a list of hosts, addresses and subnets, such as [corp.example, 10.0.0.0/8]',
            { minItems: 1 },
          ),
          outside: choice(
            ['passthrough', 'refuse'],
            'What happens to a tunnel to a host that the local CA may not sign for.',
            'passthrough',
          ),
          passphrase: Type.Optional(passphrase("Where the passphrase is that encrypts the local CA's key on disk.")),
          cert: Type.Optional(
            text(
              'A CA certificate of your own, in place of one that mtlsd makes; PEM, with those above it up to the root.',
              'a path',
            ),
          ),
          key: Type.Optional(text('Its private key; left out when the certificate file holds it too.', 'a path')),
        },
        { ...closed, default: {}, errorMessage: 'a mapping with permitted, outside, passphrase, cert and key' },
      ),
    ),
    public_dir: path(
      'A folder outside the home for copies of ca.pem and bundle.pem that other users and containers may read.',
    ),
    overrides: flag('Whether the request fields Mtlsd-Verification and Mtlsd-Certificate have an effect.', true),
    non_tls: choice(
      ['tunnel', 'refuse'],
      'What happens to bytes inside CONNECT that are not TLS; a certificate is never sent for them.',
      'tunnel',
    ),
    end_tunnels: flag(
      'Whether a WebSocket or a tunnel ends when a store change withdraws its certificate or its rule.',
      false,
    ),
    connect_to: Type.Optional(
      Type.Record(Type.String({ minLength: 1 }), Type.String({ minLength: 1, errorMessage: 'HOST or HOST:PORT' }), {
        description:
          'Where to connect in place of an authority, HOST:PORT or HOST for any port. Names, certificates and rules stay those of the authority.',
        errorMessage: 'a mapping of HOST:PORT to HOST:PORT',
      }),
    ),
    listeners: list(
      Listener,
      'Local ports, each for one origin, for programs that do not support proxies.',
      'a list of { listen, to }',
    ),
    socks: Type.Optional(
      text(
        'Where clients reach the proxy by SOCKS5; off when left out.',
        'ADDRESS:PORT, such as 127.0.0.1:1080, or unix:PATH',
      ),
    ),
    upstream_proxy: Type.Optional(
      Type.Union([ProxyRule, Type.Array(ProxyRule)], {
        description:
          'Another proxy on the way to the origins. Client certificates still go to the origins. Loopback is always reached directly. Left out: HTTPS_PROXY and NO_PROXY of the daemon; []: none.',
        errorMessage: 'a mapping with url, or a list of them',
      }),
    ),
    log: Type.Optional(
      Type.Object(
        {
          level: choice(LOG_LEVELS, 'The least serious lines that are written.', 'info'),
          format: choice(LOG_FORMATS, 'pretty on a terminal and json elsewhere when left out.'),
          query: flag('Whether a logged path keeps its query, which often holds secrets.', false),
        },
        { ...closed, default: {}, errorMessage: 'a mapping with level, format, query' },
      ),
    ),
    records: Type.Optional(
      Type.Object(
        {
          fields: choice(
            ['none', 'redacted', 'all'],
            'Which header fields the API and the HAR export have: none, those without secret values, or all as they are. They are kept in memory only.',
            'none',
          ),
        },
        { ...closed, default: {}, errorMessage: 'a mapping with fields' },
      ),
    ),
    keylog: path('A file for the TLS session keys of both sides; SSLKEYLOGFILE does the same.'),
    limits: Type.Optional(
      Type.Object(
        {
          connections: count('Client connections in all.', 10_000),
          connections_per_address: count('Client connections from one address.', 5_000),
          upstream_connections: count('Connections to one origin with one certificate.', 256),
          header_bytes: count('All fields of one request together.', 65_536),
          records: count('Exchanges remembered for the API and the page.', 2_000),
          record_bytes: count('Memory for those records, at most.', 10_000_000),
          leaf_certificates: count('Leaf certificates kept for hosts.', 1_000),
        },
        { ...closed, default: {}, errorMessage: 'a mapping of limits' },
      ),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          connect: duration('For an origin to take a connection.', '10s'),
          tls: duration('For a TLS handshake, on either side.', '10s'),
          request: duration('For a client to send the fields of a request.', '30s'),
          response: duration(
            'For an origin to begin its response, and for a connection to it to become free; 0s waits for ever.',
            '5m',
          ),
          idle: duration('For a client connection without exchanges.', '2m'),
          // Servers' own limits begin at 5 s (Node, Apache); a request written as they close is lost, so stay below.
          keep_alive: duration('For an idle connection to an origin that names no time of its own.', '4s'),
          stream: duration('For a stream, a WebSocket or a tunnel on which no bytes flow; 0s waits for ever.', '0s'),
          drain: duration('For exchanges under way when the daemon stops.', '30s'),
        },
        { ...closed, default: {}, errorMessage: 'a mapping of durations' },
      ),
    ),
  },
  { ...closed, title: 'mtlsd.yaml', description: 'Settings of mtlsd. All are optional.' },
);
export type SettingsFile = Static<typeof SettingsFile>;

type Always = 'admin' | 'overrides' | 'non_tls' | 'end_tunnels';
type Section = 'ca' | 'log' | 'records' | 'limits' | 'timeouts';

/** The file with the defaults of the schema filled in; `listen` stays out where it was. */
export type CompleteSettings = Omit<SettingsFile, Always | Section> &
  Required<Pick<SettingsFile, Always>> & { readonly [K in Section]: Required<NonNullable<SettingsFile[K]>> };
