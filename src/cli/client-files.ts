/** Files that some clients need in place of a variable; made in the home folder, made again when what they come from changed. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { JAVA_STORE_PASSWORD } from './client-env.ts';
import { progress } from './output.ts';
import { findProgram } from './programs.ts';
import type { CaFile } from './trust-stores/trust-store.ts';

const FOLDER = 'clients';
const run = promisify(execFile);
/** keytool starts a JVM; on a busy machine that takes seconds. */
const KEYTOOL_MS = 60_000;

/**
 * The JDK's own anchors and the local CA, as PKCS#12.
 * @param cas the local CA, and the new one of a rotation
 * @returns null where there is no keytool, or it fails: then Java gets the proxy alone
 */
export async function javaTrustStore(home: string, cas: readonly CaFile[]): Promise<string | null> {
  const keytool = await findProgram('keytool');
  if (keytool === null) return null;
  const file = join(home, FOLDER, 'java-truststore.p12');
  const anchors = await javaAnchors(keytool);
  if (await isNewer(file, [join(home, 'ca/ca.pem'), ...(anchors === null ? [] : [anchors])])) return file;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const shown = progress('making a trust store for Java, once for each JDK …');
  const temporary = `${file}.${process.pid}.tmp`;
  const store = ['-keystore', temporary, '-storetype', 'PKCS12', '-storepass', JAVA_STORE_PASSWORD];
  try {
    if (anchors !== null)
      await run(
        keytool,
        [
          '-importkeystore',
          '-noprompt',
          '-srckeystore',
          anchors,
          '-srcstorepass',
          JAVA_STORE_PASSWORD,
          '-destkeystore',
          temporary,
          '-deststoretype',
          'PKCS12',
          '-deststorepass',
          JAVA_STORE_PASSWORD,
        ],
        { timeout: KEYTOOL_MS },
      );
    for (const [index, ca] of cas.entries())
      await run(
        keytool,
        ['-importcert', '-noprompt', '-alias', index === 0 ? 'mtlsd' : 'mtlsd-new', '-file', ca.path, ...store],
        {
          timeout: KEYTOOL_MS,
        },
      );
    await rename(temporary, file);
    return file;
  } catch {
    return null;
  } finally {
    shown.done();
    await rm(temporary, { force: true });
  }
}

/** `JAVA_HOME/lib/security/cacerts`, found by the real path of keytool: a JVM takes half a second to start and print it. */
async function javaAnchors(keytool: string): Promise<string | null> {
  const file = join(dirname(await realpath(keytool)), '../lib/security/cacerts');
  return (await exists(file)) ? file : null;
}

/** Settings of a user that override the variables of `mtlsd run`. */
const WGET_BEATS =
  /^\s*(?:https?_proxy|ftp_proxy|no_proxy|use_proxy|proxy_(?:user|password)|ca_certificate|ca_directory)\s*=.*$/gim;
const CURL_BEATS =
  /^\s*(?:--?)?(?:proxy|preproxy|socks[45]a?|socks5-hostname|noproxy|proxy-user|cacert|capath|x|U)(?:[ \t=:].*)?$/gm;

/** GNU Wget takes its bundle only from a settings file; the user's own settings come first in it. */
export async function wgetSettings(home: string, bundleFile: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  if ((await findProgram('wget')) === null) return null;
  const file = join(home, FOLDER, 'wgetrc');
  // Inside `mtlsd run` the variable names our file already.
  const own = env.WGETRC !== undefined && env.WGETRC !== file ? env.WGETRC : join(homedir(), '.wgetrc');
  const before = (await readFile(own, 'utf8').catch(() => '')).replace(WGET_BEATS, '');
  await writeSettings(
    file,
    `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}ca_certificate = ${bundleFile}\n`,
  );
  return file;
}

/**
 * The user's settings of curl, without those that override the variables.
 * @returns the folder for CURL_HOME; null where there are none, and curl reads its own file
 */
export async function curlSettings(home: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const folder = join(home, FOLDER);
  // The order in which curl looks (7.88); a `.curlrc` in CURL_HOME is ours already inside `mtlsd run`.
  const places = [
    env.CURL_HOME === undefined || env.CURL_HOME === folder ? null : join(env.CURL_HOME, '.curlrc'),
    env.XDG_CONFIG_HOME === undefined ? null : join(env.XDG_CONFIG_HOME, 'curlrc'),
    join(homedir(), '.curlrc'),
    join(homedir(), '.config/curlrc'),
  ].filter((place) => place !== null);
  for (const place of places) {
    const own = await readFile(place, 'utf8').catch(() => null);
    if (own === null) continue;
    const left = own.replace(CURL_BEATS, '');
    if (left === own) return null;
    await writeSettings(join(folder, '.curlrc'), left);
    return folder;
  }
  return null;
}

/** 0600: a user's own settings may hold passwords. */
async function writeSettings(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => null)) === text) return;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.${process.pid}.tmp`, text, { mode: 0o600 });
  await rename(`${file}.${process.pid}.tmp`, file);
}

async function isNewer(file: string, sources: readonly string[]): Promise<boolean> {
  const time = async (path: string) => (await stat(path).catch(() => null))?.mtimeMs ?? 0;
  const own = await time(file);
  const times = await Promise.all(sources.map(time));
  return own > 0 && times.every((each) => each < own);
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null)) !== null;
}
