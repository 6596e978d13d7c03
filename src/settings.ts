/** mtlsd.yaml, the command line and the environment -> Settings: parsed once, at start. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { type Authority, isLoopback, parseAuthority } from './core/authority.ts';
import { readConfig } from './core/config-file.ts';
import { MtlsdError } from './core/errors.ts';
import { homeDirectory } from './home.ts';
import { type ListenerSettings, networkProperties, type NetworkSettings, resolveNetwork } from './settings-network.ts';

const closed = { additionalProperties: false } as const;

const duration = (description: string, fallback: string) =>
  Type.String({
    pattern: '^\\d{1,6}(ms|s|m|h)$',
    description,
    default: fallback,
    errorMessage: 'a duration such as 500ms, 30s, 5m or 1h',
  });

const count = (description: string, fallback: number) =>
  Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    description,
    default: fallback,
    errorMessage: 'a whole number from 1 to 10000000',
  });

const address = (description: string) =>
  Type.String({ minLength: 1, description, errorMessage: 'ADDRESS:PORT, such as 127.0.0.1:8740' });

/** The file's shape; `config/mtlsd.schema.json` is generated from it. */
export const SettingsFile = Type.Object(
  {
    listen: Type.Optional(
      Type.Union([address('Where clients reach the proxy.'), Type.Array(address('One address.'), { minItems: 1 })], {
        description:
          'Where clients reach the proxy; 127.0.0.1:8740 and [::1]:8740 when left out. Port 0 is any free one.',
        errorMessage: 'ADDRESS:PORT, or a list of them',
      }),
    ),
    admin: Type.Optional(
      address('Where the admin API and the web page are; 127.0.0.1:8741 when left out, or unix:PATH.'),
    ),
    auth: Type.Optional(
      Type.Object(
        {
          password: Type.Object(
            { file: Type.Optional(Type.String({ minLength: 1 })), env: Type.Optional(Type.String({ minLength: 1 })) },
            { ...closed, minProperties: 1, maxProperties: 1, errorMessage: '{ file: PATH } or { env: NAME }' },
          ),
        },
        {
          ...closed,
          description:
            'The password that clients must give as proxy credentials; any user name goes, and names the profile.',
          errorMessage: 'a mapping with password',
        },
      ),
    ),
    overrides: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Whether the request fields Mtlsd-Verification and Mtlsd-Certificate are heeded.',
        errorMessage: 'true or false',
      }),
    ),
    non_tls: Type.Optional(
      Type.Union([Type.Literal('tunnel'), Type.Literal('refuse')], {
        default: 'tunnel',
        description: 'What happens to bytes inside CONNECT that are not TLS; a certificate is never sent for them.',
        errorMessage: 'tunnel or refuse',
      }),
    ),
    end_tunnels: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Whether a WebSocket or a tunnel ends when a store change withdraws its certificate or its rule.',
        errorMessage: 'true or false',
      }),
    ),
    ...networkProperties,
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Union(
              [
                Type.Literal('debug'),
                Type.Literal('info'),
                Type.Literal('warn'),
                Type.Literal('error'),
                Type.Literal('silent'),
              ],
              {
                default: 'info',
                errorMessage: 'debug, info, warn, error or silent',
              },
            ),
          ),
          format: Type.Optional(
            Type.Union([Type.Literal('json'), Type.Literal('pretty')], {
              description: 'pretty on a terminal and json elsewhere when left out.',
              errorMessage: 'json or pretty',
            }),
          ),
          query: Type.Optional(
            Type.Boolean({
              default: false,
              description: 'Whether a logged path keeps its query, which often holds secrets.',
              errorMessage: 'true or false',
            }),
          ),
        },
        { ...closed, errorMessage: 'a mapping with level, format, query' },
      ),
    ),
    keylog: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'A file for the TLS session keys of both sides; SSLKEYLOGFILE does the same.',
        errorMessage: 'a path',
      }),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          connections: Type.Optional(count('Client connections in all.', 10_000)),
          connections_per_address: Type.Optional(count('Client connections from one address.', 5_000)),
          upstream_connections: Type.Optional(count('Connections to one origin with one certificate.', 256)),
          header_bytes: Type.Optional(count('All fields of one request together.', 65_536)),
          records: Type.Optional(count('Exchanges remembered for the API and the page.', 2_000)),
          record_bytes: Type.Optional(count('Memory for those records, at most.', 10_000_000)),
          leaf_certificates: Type.Optional(count('Leaf certificates kept for hosts.', 1_000)),
        },
        { ...closed, errorMessage: 'a mapping of limits' },
      ),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          connect: Type.Optional(duration('For an origin to take a connection.', '10s')),
          tls: Type.Optional(duration('For a TLS handshake, on either side.', '10s')),
          request: Type.Optional(duration('For a client to send the fields of a request.', '30s')),
          response: Type.Optional(duration('For an origin to begin its response; 0s waits for ever.', '5m')),
          idle: Type.Optional(duration('For a client connection with nothing under way.', '2m')),
          keep_alive: Type.Optional(
            duration('For an idle connection to an origin that names no time of its own.', '4s'),
          ),
          stream: Type.Optional(
            duration('For a stream, a WebSocket or a tunnel on which no bytes flow; 0s waits for ever.', '0s'),
          ),
          drain: Type.Optional(duration('For exchanges under way when the daemon is told to stop.', '30s')),
        },
        { ...closed, errorMessage: 'a mapping of durations' },
      ),
    ),
  },
  { ...closed, title: 'mtlsd.yaml', description: 'Settings of mtlsd. All are optional.' },
);
export type SettingsFile = Static<typeof SettingsFile>;

/** What the command line may set; each wins over the file. */
export interface SettingsFlags {
  readonly home?: string | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly admin?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 is any free one. */
  readonly port: number;
}

export interface Settings {
  readonly home: string;
  readonly listen: readonly ListenAddress[];
  /** Where ::1 was not asked for by name, a machine without IPv6 goes without it. */
  readonly listenOptional: readonly ListenAddress[];
  readonly admin: ListenAddress | { readonly path: string };
  readonly auth: { readonly file: string } | { readonly env: string } | null;
  readonly overrides: boolean;
  readonly nonTls: 'tunnel' | 'refuse';
  readonly endTunnels: boolean;
  readonly network: Omit<NetworkSettings, 'listeners' | 'socks'> & {
    readonly listeners: readonly (Omit<ListenerSettings, 'listen'> & { readonly listen: ListenAddress })[];
    readonly socks: ListenAddress | null;
  };
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
    /** null: `pretty` on a terminal, `json` elsewhere. */
    readonly format: 'json' | 'pretty' | null;
    readonly query: boolean;
  };
  readonly keylog: string | null;
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly upstreamConnections: number;
    readonly headerBytes: number;
    readonly records: number;
    readonly recordBytes: number;
    readonly leafCertificates: number;
  };
  readonly timeoutsMs: {
    readonly connect: number;
    readonly tls: number;
    readonly request: number;
    readonly response: number;
    readonly idle: number;
    readonly keepAlive: number;
    /** 0 for no limit. */
    readonly stream: number;
    readonly drain: number;
  };
}

/**
 * @throws MtlsdError BAD_CONFIGURATION, a line for each mistake with its place
 */
export async function loadSettings(flags: SettingsFlags, env: NodeJS.ProcessEnv): Promise<Settings> {
  const home = homeDirectory(flags.home, env);
  const path = join(home, 'mtlsd.yaml');
  let text: string | null = null;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new MtlsdError('BAD_CONFIGURATION', `${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
  const file = text === null ? {} : readConfig(text, path, SettingsFile);
  return resolveSettings(file, flags, env, home, path);
}

function resolveSettings(
  file: SettingsFile,
  flags: SettingsFlags,
  env: NodeJS.ProcessEnv,
  home: string,
  path: string,
): Settings {
  const { limits = {}, timeouts = {}, log = {} } = file;
  const named = flags.listen?.length ? flags.listen : file.listen === undefined ? null : [file.listen].flat();
  const source = flags.listen?.length ? '--listen' : `listen in ${path}`;
  const listen = named ? named.map((text) => listenAddress(text, source)) : [{ host: '127.0.0.1', port: 8740 }];
  const auth = file.auth?.password;
  if (!auth) for (const { host } of listen) refuseOpenProxy(host, source);
  const network = resolveNetwork(file, home, path);
  const socks = network.socks === null ? null : listenAddress(network.socks, `socks in ${path}`);
  if (!auth && socks) refuseOpenProxy(socks.host, `socks in ${path}`);
  return {
    home,
    listen,
    listenOptional: named ? [] : [{ host: '::1', port: 8740 }],
    admin: adminAddress(flags.admin ?? file.admin ?? '127.0.0.1:8741', flags.admin ? '--admin' : `admin in ${path}`),
    auth:
      auth?.file !== undefined
        ? { file: resolve(home, auth.file) }
        : auth?.env !== undefined
          ? { env: auth.env }
          : null,
    overrides: file.overrides ?? true,
    nonTls: file.non_tls ?? 'tunnel',
    endTunnels: file.end_tunnels ?? false,
    network: {
      ...network,
      listeners: network.listeners.map((listener) => ({
        ...listener,
        listen: loopbackOnly(listener.listen, `listeners in ${path}`),
      })),
      socks,
    },
    log: {
      level: oneOf(flags.logLevel, ['debug', 'info', 'warn', 'error', 'silent'], '--log-level') ?? log.level ?? 'info',
      format: oneOf<'json' | 'pretty'>(flags.logFormat, ['json', 'pretty'], '--log-format') ?? log.format ?? null,
      query: log.query ?? false,
    },
    keylog:
      file.keylog !== undefined ? resolve(home, file.keylog) : env.SSLKEYLOGFILE ? resolve(env.SSLKEYLOGFILE) : null,
    limits: {
      connections: limits.connections ?? 10_000,
      connectionsPerAddress: limits.connections_per_address ?? 5_000,
      upstreamConnections: limits.upstream_connections ?? 256,
      headerBytes: limits.header_bytes ?? 65_536,
      records: limits.records ?? 2_000,
      recordBytes: limits.record_bytes ?? 10_000_000,
      leafCertificates: limits.leaf_certificates ?? 1_000,
    },
    timeoutsMs: {
      connect: milliseconds(timeouts.connect ?? '10s'),
      tls: milliseconds(timeouts.tls ?? '10s'),
      request: milliseconds(timeouts.request ?? '30s'),
      response: milliseconds(timeouts.response ?? '5m'),
      idle: milliseconds(timeouts.idle ?? '2m'),
      // Servers' own limits begin at 5 s (Node, Apache); a request written as they close is lost, so stay below.
      keepAlive: milliseconds(timeouts.keep_alive ?? '4s'),
      stream: milliseconds(timeouts.stream ?? '0s'),
      drain: milliseconds(timeouts.drain ?? '30s'),
    },
  };
}

function listenAddress(text: string, source: string): ListenAddress {
  const match = /^(.*):0$/.exec(text);
  let parsed: Authority;
  try {
    // Port 0 is no authority, but means any free port here.
    parsed = parseAuthority(match ? `${match[1]}:1` : text);
  } catch (error) {
    throw new MtlsdError('BAD_CONFIGURATION', `${source}: ${JSON.stringify(text)} is not ADDRESS:PORT`, {
      hint: 'write for example 127.0.0.1:8740',
      cause: error,
    });
  }
  // Names may resolve to more than one address, and "*" to all; what listens is to be read off the settings.
  if (parsed.kind === 'name' && parsed.host !== 'localhost')
    throw new MtlsdError('BAD_CONFIGURATION', `${source}: ${JSON.stringify(text)} is a name, not an address`, {
      hint: 'write an IP address, such as 127.0.0.1:8740',
    });
  return { host: parsed.host === 'localhost' ? '127.0.0.1' : parsed.host, port: match ? 0 : parsed.port };
}

function refuseOpenProxy(host: string, source: string): void {
  if (isLoopback(host)) return;
  throw new MtlsdError(
    'BAD_CONFIGURATION',
    `${source}: ${host} is reachable from other machines, which could then use your certificates`,
    {
      hint: 'listen on 127.0.0.1, or set auth.password in mtlsd.yaml',
    },
  );
}

function adminAddress(text: string, source: string): Settings['admin'] {
  if (text.startsWith('unix:')) return { path: resolve(text.slice(5)) };
  const parsed = listenAddress(text, source);
  if (!isLoopback(parsed.host))
    throw new MtlsdError(
      'BAD_CONFIGURATION',
      `${source}: the admin API listens on loopback only, not on ${parsed.host}`,
      { hint: 'write 127.0.0.1:8741, or unix:PATH' },
    );
  return parsed;
}

function oneOf<T extends string>(value: string | undefined, known: readonly T[], flag: string): T | undefined {
  if (value === undefined) return undefined;
  const match = known.find((one) => one === value);
  if (!match)
    throw new MtlsdError('BAD_CONFIGURATION', `${flag} is ${JSON.stringify(value)}`, {
      hint: `expected one of ${known.join(', ')}`,
    });
  return match;
}

/** A local port acts for whoever reaches it, and programs that know no proxies give no password. */
function loopbackOnly(text: string, source: string): ListenAddress {
  const address = listenAddress(text, source);
  if (isLoopback(address.host)) return address;
  throw new MtlsdError(
    'BAD_CONFIGURATION',
    `${source}: ${address.host} is reachable from other machines, which could then use your certificates`,
    {
      hint: 'listen on 127.0.0.1',
    },
  );
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

function milliseconds(text: string): number {
  const [, amount = '0', unit = 'ms'] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  return Number(amount) * UNITS[unit as keyof typeof UNITS];
}
