/** mtlsd.yaml, the command line and the environment -> Settings: parsed once, at start. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Authority, isLoopback, parseAuthority } from '../core/authority.ts';
import { badConfiguration } from '../core/errors.ts';
import type { SecretSource } from '../core/read-secret.ts';
import { systemHint, systemSentence } from '../core/files/system-fault.ts';
import { validatorFor, withDefaults } from '../core/validate.ts';
import { describeAt, readYaml } from '../core/yaml/read.ts';
import { durationMs } from '../core/time.ts';
import { homeDirectory } from '../home.ts';
import { type CaSettings, caSettings } from './ca.ts';
import { type EnvironmentProxy, useEnvironmentProxy } from './environment-proxy.ts';
import { inheritedSockets } from './inherited-sockets.ts';
import { type ListenerSettings, type NetworkSettings, resolveNetwork } from './network.ts';
import { type CompleteSettings, LOG_FORMATS, LOG_LEVELS, SettingsFile } from './schema.ts';
import { secretSource } from './secret-source.ts';

/** What the command line may set; each wins over the file. */
export interface SettingsFlags {
  readonly home?: string | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly admin?: string | undefined;
  readonly port?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logFormat?: string | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 is any free one. */
  readonly port: number;
}

/** An address, the path of a UNIX socket, or a socket that the service manager has opened. */
export type ListenPlace = ListenAddress | { readonly path: string } | InheritedSocket;

export interface InheritedSocket {
  readonly fd: number;
  /** Refused where it turns out to be an address that other machines reach. */
  readonly loopbackOnly: boolean;
}

/** What clients of the proxy must give; null for nothing. */
export type AuthSettings =
  | { readonly password: SecretSource }
  | { readonly users: ReadonlyMap<string, SecretSource> }
  | null;

export interface Settings {
  readonly home: string;
  readonly listen: readonly ListenPlace[];
  /** ::1, where only the default names it: skipped on a machine without IPv6. */
  readonly listenOptional: readonly ListenAddress[];
  readonly admin: ListenAddress | { readonly path: string };
  /** Whether a port that is taken is replaced by any free one. */
  readonly anyPort: boolean;
  readonly auth: AuthSettings;
  readonly metrics: ListenAddress | null;
  readonly ca: CaSettings;
  readonly publicDir: string | null;
  readonly overrides: boolean;
  readonly nonTls: CompleteSettings['non_tls'];
  readonly endTunnels: boolean;
  readonly network: Omit<NetworkSettings, 'listeners' | 'socks'> & {
    readonly listeners: readonly (Omit<ListenerSettings, 'listen'> & { readonly listen: ListenAddress })[];
    readonly socks: ListenPlace | null;
  };
  /** Whether HTTPS_PROXY of the daemon's environment is used. */
  readonly environmentProxy: EnvironmentProxy;
  readonly log: Readonly<CompleteSettings['log']>;
  /** Which header fields of exchanges are kept. */
  readonly fieldPolicy: CompleteSettings['records']['fields'];
  readonly keylog: string | null;
  readonly limits: InCamelCase<CompleteSettings['limits'], number>;
  /** 0 for no limit. */
  readonly timeoutsMs: InCamelCase<CompleteSettings['timeouts'], number>;
}

type CamelCase<S> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : S;
type InCamelCase<T, V> = { readonly [K in keyof T as CamelCase<K> & string]: V };

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
      throw badConfiguration(systemSentence(error, path, 'read'), systemHint(error, path) ?? 'check the file', error);
  }
  return resolveSettings(text === null ? {} : parseSettings(text, path), flags, env, home, path);
}

/** Their values may be secrets by mistake, so no message quotes them. */
const SECRETS = new Set(['passphrase', 'password', 'users', 'credentials']);

function parseSettings(text: string, path: string): SettingsFile {
  const yaml = readYaml(text, path);
  const value = yaml.ok ? (yaml.value ?? {}) : null;
  const problems = yaml.ok ? yaml.problemsOf(validatorFor(SettingsFile, { secret: SECRETS })(value)) : yaml.problems;
  if (problems.length === 0) return value as SettingsFile;
  const lines = problems.map((problem) => describeAt(path, problem));
  throw badConfiguration(lines.join('\n'));
}

function resolveSettings(
  written: SettingsFile,
  flags: SettingsFlags,
  env: NodeJS.ProcessEnv,
  home: string,
  path: string,
): Settings {
  const file = withDefaults(SettingsFile, written) as CompleteSettings;
  const { limits, timeouts, log } = file;
  const fromFlags = flags.listen?.length ? flags.listen : null;
  const source = fromFlags ? '--listen' : `listen in ${path}`;
  const addresses = (fromFlags ?? [file.listen ?? []].flat()).map((text) => listenPlace(text, source));
  // A machine without IPv6 can't listen on ::1; only an explicit ::1 is an error then.
  const isOptional = (place: ListenPlace): place is ListenAddress =>
    !fromFlags && !written.listen && 'host' in place && place.host === '::1';
  const auth = authSettings(file.auth, home);
  const inherited = inheritedSockets(env, process.pid).map((fd) => ({ fd, loopbackOnly: auth === null }));
  const listen = inherited.length > 0 ? inherited : addresses.filter((address) => !isOptional(address));
  const network = resolveNetwork(file, home, path);
  const environmentProxy: EnvironmentProxy =
    file.upstream_proxy === undefined
      ? useEnvironmentProxy(network.upstreamProxies, env, {
          home,
          listen: listen.filter((place) => 'host' in place),
        })
      : { kind: 'none' };
  const socks = network.socks === null ? null : listenPlace(network.socks, `socks in ${path}`);
  if (!auth) {
    const hint = 'listen on 127.0.0.1, or set auth.password in mtlsd.yaml';
    for (const place of listen) refuseOpenProxy(place, source, hint);
    if (socks) refuseOpenProxy(socks, `socks in ${path}`, hint);
  }
  return {
    home,
    listen,
    listenOptional: inherited.length > 0 ? [] : addresses.filter(isOptional),
    admin: adminAddress(flags.admin ?? file.admin, flags.admin ? '--admin' : `admin in ${path}`),
    anyPort: oneOf(flags.port, ['auto'], '--port') === 'auto',
    auth,
    metrics: file.metrics ? listenAddress(file.metrics.listen, `metrics.listen in ${path}`) : null,
    ca: caSettings(written.ca, file.ca.outside, home, path),
    publicDir: file.public_dir === undefined ? null : publicFolder(resolve(home, file.public_dir), home, path),
    overrides: file.overrides,
    nonTls: file.non_tls,
    endTunnels: file.end_tunnels,
    environmentProxy,
    network: {
      ...network,
      listeners: network.listeners.map((listener) => ({
        ...listener,
        listen: loopbackOnly(listener.listen, `listeners in ${path}`),
      })),
      socks,
    },
    log: {
      level: oneOf(flags.logLevel, LOG_LEVELS, '--log-level') ?? log.level,
      format: oneOf(flags.logFormat, LOG_FORMATS, '--log-format') ?? log.format ?? null,
      query: log.query,
    },
    fieldPolicy: file.records.fields,
    keylog:
      file.keylog !== undefined ? resolve(home, file.keylog) : env.SSLKEYLOGFILE ? resolve(env.SSLKEYLOGFILE) : null,
    limits: inCamelCase(limits, (amount) => amount),
    timeoutsMs: inCamelCase(timeouts, durationMs),
  };
}

/** `header_bytes` -> `headerBytes`, since the file and the code have different customs. */
function inCamelCase<T extends object, V>(values: T, convert: (value: T[keyof T]) => V): InCamelCase<T, V> {
  const entries = Object.entries(values) as [string, T[keyof T]][];
  return Object.fromEntries(
    entries.map(([key, value]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      convert(value),
    ]),
  ) as InCamelCase<T, V>;
}

function listenAddress(text: string, source: string): ListenAddress {
  const match = /^(.*):0$/.exec(text);
  let parsed: Authority;
  try {
    // Port 0 is no authority, but means any free port here.
    parsed = parseAuthority(match ? `${match[1]}:1` : text);
  } catch (error) {
    throw badConfiguration(
      `${source}: ${JSON.stringify(text)} is not ADDRESS:PORT`,
      'write for example 127.0.0.1:8740',
      error,
    );
  }
  // A name may resolve to several addresses, and "*" to all; the settings must name one.
  if (parsed.kind === 'name' && parsed.host !== 'localhost')
    throw badConfiguration(
      `${source}: ${JSON.stringify(text)} is a name, not an address`,
      'write an IP address, such as 127.0.0.1:8740',
    );
  return { host: parsed.host === 'localhost' ? '127.0.0.1' : parsed.host, port: match ? 0 : parsed.port };
}

function listenPlace(text: string, source: string): ListenAddress | { readonly path: string } {
  return text.startsWith('unix:') ? { path: resolve(text.slice(5)) } : listenAddress(text, source);
}

function authSettings(auth: SettingsFile['auth'], home: string): AuthSettings {
  if (auth?.users)
    return { users: new Map(Object.entries(auth.users).map(([user, secret]) => [user, secretSource(secret, home)])) };
  return auth?.password ? { password: secretSource(auth.password, home) } : null;
}

/** The home is 0700, so others can't read a folder in it. */
function publicFolder(dir: string, home: string, path: string): string {
  if (dir !== home && !dir.startsWith(`${home}/`)) return dir;
  throw badConfiguration(
    `public_dir in ${path}: ${dir} is in the home, which others can't read`,
    'name a folder outside the home, such as /var/lib/mtlsd-public',
  );
}

function refuseOpenProxy(place: ListenPlace, source: string, hint: string): void {
  if (!('host' in place) || isLoopback(place.host)) return;
  throw badConfiguration(
    `${source}: ${place.host} is reachable from other machines, which could then use your certificates`,
    hint,
  );
}

function adminAddress(text: string, source: string): Settings['admin'] {
  if (text.startsWith('unix:')) return { path: resolve(text.slice(5)) };
  const parsed = listenAddress(text, source);
  if (!isLoopback(parsed.host))
    throw badConfiguration(
      `${source}: the admin API listens on loopback only, not on ${parsed.host}`,
      'write 127.0.0.1:8741, or unix:PATH',
    );
  return parsed;
}

function oneOf<T extends string>(value: string | undefined, known: readonly T[], flag: string): T | undefined {
  if (value === undefined) return undefined;
  const match = known.find((one) => one === value);
  if (!match) throw badConfiguration(`${flag} is ${JSON.stringify(value)}`, `expected one of ${known.join(', ')}`);
  return match;
}

/** A local port acts for every program that reaches it, and programs without proxy support send no password. */
function loopbackOnly(text: string, source: string): ListenAddress {
  const address = listenAddress(text, source);
  refuseOpenProxy(address, source, 'listen on 127.0.0.1');
  return address;
}
