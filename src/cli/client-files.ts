/** Files that some clients need in place of a variable; made in the home folder, made anew when what they come from changed. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { JAVA_STORE_PASSWORD } from './client-env.ts';
import { findProgram } from './programs.ts';

const FOLDER = 'clients';
const run = promisify(execFile);
/** keytool starts a JVM; on a busy machine that takes seconds. */
const KEYTOOL_MS = 60_000;

/**
 * The JDK's own anchors and the local CA, as PKCS#12.
 * @returns null where there is no keytool, or it fails: then Java gets the proxy alone
 */
export async function javaTrustStore(home: string, caFile: string): Promise<string | null> {
  const keytool = await findProgram('keytool');
  if (keytool === null) return null;
  const file = join(home, FOLDER, 'java-truststore.p12');
  const anchors = await javaAnchors(keytool);
  if (await isNewer(file, [caFile, ...(anchors === null ? [] : [anchors])])) return file;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
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
    await run(keytool, ['-importcert', '-noprompt', '-alias', 'mtlsd', '-file', caFile, ...store], {
      timeout: KEYTOOL_MS,
    });
    await rename(temporary, file);
    return file;
  } catch {
    return null;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** `JAVA_HOME/lib/security/cacerts`, told by where keytool really is, since starting a JVM to ask takes half a second. */
async function javaAnchors(keytool: string): Promise<string | null> {
  const file = join(dirname(await realpath(keytool)), '../lib/security/cacerts');
  return (await exists(file)) ? file : null;
}

/** GNU Wget takes its bundle from a file of settings alone; what the user has in his own goes first. */
export async function wgetSettings(home: string, bundleFile: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  if ((await findProgram('wget')) === null) return null;
  const file = join(home, FOLDER, 'wgetrc');
  // Inside `mtlsd run` it is ours already.
  const own = env.WGETRC !== undefined && env.WGETRC !== file ? env.WGETRC : join(homedir(), '.wgetrc');
  const before = await readFile(own, 'utf8').catch(() => '');
  const text = `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}ca_certificate = ${bundleFile}\n`;
  if ((await readFile(file, 'utf8').catch(() => null)) === text) return file;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // 0600: a user's own settings may hold passwords.
  await writeFile(`${file}.${process.pid}.tmp`, text, { mode: 0o600 });
  await rename(`${file}.${process.pid}.tmp`, file);
  return file;
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
