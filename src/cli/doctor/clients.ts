/**
 * Whether each kind of client on this machine uses the proxy and trusts the local CA. Each asks the daemon itself, for a name
 * that only the proxy answers: with the settings of this shell where it has any, else with those of `mtlsd run`.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OWN_NAME } from '../../core/own-name.ts';
import { OWN_ANSWER } from '../../proxy/own-name.ts';
import type { LocalCaAnswer } from '../../admin/routes/ca.ts';
import { readCas } from '../ca-file.ts';
import { clientVariables } from '../client-env.ts';
import { clientSettings } from '../client-settings.ts';
import { oldNodeWarning } from '../old-node.ts';
import { findProgram } from '../programs.ts';
import { nssStores } from '../trust-stores/nss.ts';
import { failed, type CheckResult, ok, skipped, warning } from './check.ts';

const run = promisify(execFile);
/** Some start a runtime, all at once. */
const TRIAL_MS = 20_000;

const UNTESTED = `the local CA may not sign for ${OWN_NAME}`;

interface Trial {
  readonly client: string;
  readonly program: string;
  readonly args: (url: string) => readonly string[];
  readonly env?: (url: string, folder: string) => NodeJS.ProcessEnv;
  /** In what it prints, where the answer reached it; the answer itself where left out. */
  readonly answered?: RegExp;
}

const PYTHON = 'import sys,urllib.request as u;print(u.urlopen(sys.argv[1],timeout=8).read().decode())';
const PYTHON_REQUESTS = 'import sys,requests as r;print(r.get(sys.argv[1],timeout=8).text)';
const NODE = 'fetch(process.argv[1]).then((r)=>r.text()).then(console.log)';
const RUBY = 'require "open-uri";puts URI(ARGV[0]).open.read';
const GO = (url: string, folder: string): NodeJS.ProcessEnv => ({
  GOPROXY: url.replace(/\/$/, ''),
  GOFLAGS: '-mod=mod',
  GOTOOLCHAIN: 'local',
  GOPATH: join(folder, 'path'),
  GOCACHE: join(folder, 'cache'),
});

// biome-ignore format: a table reads best as a table
const TRIALS: readonly Trial[] = [
  { client: 'curl', program: 'curl', args: (url) => ['-sS', '--max-time', '10', url] },
  { client: 'wget', program: 'wget', args: (url) => ['-q', '-O', '-', '--tries=1', '--timeout=10', url] },
  { client: 'git', program: 'git', args: (url) => ['ls-remote', url], answered: /repository '.*' not found/ },
  { client: 'Python', program: 'python3', args: (url) => ['-c', PYTHON, url] },
  { client: 'Python requests', program: 'python3', args: (url) => ['-c', PYTHON_REQUESTS, url] },
  { client: 'Node', program: 'node', args: (url) => ['-e', NODE, url] },
  { client: 'Ruby', program: 'ruby', args: (url) => ['-e', RUBY, url] },
  { client: 'Deno', program: 'deno', args: (url) => ['eval', `console.log(await (await fetch("${url}")).text())`] },
  { client: 'Go', program: 'go', args: () => ['list', '-m', '-versions', `${OWN_NAME}/x`], env: GO, answered: /404 Not Found/ },
];

interface Place {
  /** Of the trials. */
  readonly env: NodeJS.ProcessEnv;
  /** ` under mtlsd run`, ` when started from here` */
  readonly how: string;
  /** Where they start: no settings of a project get in, and what they write is removed. */
  readonly folder: string;
  readonly testsTrust: boolean;
  /** `the local CA`, `the new local CA` */
  readonly theCa: string;
}

/** Needs a daemon that runs. In a rotation the new CA signs for the name that is asked for. */
export async function checkClients(home: string, ca: LocalCaAnswer): Promise<CheckResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mtlsd-doctor-'));
  try {
    const inherited = (process.env.https_proxy ?? process.env.HTTPS_PROXY) !== undefined;
    const own = inherited ? {} : await variables(home);
    const how = inherited ? ' when started from here' : ' under mtlsd run';
    const env = { ...process.env, ...own, GIT_TERMINAL_PROMPT: '0', NODE_NO_WARNINGS: '1' };
    const theCa = ca.rotation ? 'the new local CA' : 'the local CA';
    const place = { env, how, folder, theCa, testsTrust: ca.tests_trust };
    const findings = await Promise.all(TRIALS.map((trial) => tryOut(trial, place)));
    return [...findings, await checkJava(home, place), ...(await checkBrowsers(home))];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function variables(home: string): Promise<Record<string, string>> {
  const { settings } = await clientSettings(home, { withPassword: true });
  return clientVariables(settings, process.env);
}

async function tryOut(trial: Trial, place: Place): Promise<CheckResult> {
  const { client, program } = trial;
  const check = `client ${client}`;
  const path = await findProgram(program);
  if (path === null) return skipped(check, 'not installed');
  if (client === 'Python requests' && !(await output(path, ['-c', 'import requests;print(1)'], place)).includes('1'))
    return skipped(check, 'not installed');
  if (place.testsTrust && (await reaches(trial, path, `https://${OWN_NAME}/`, place)))
    return ok(check, `uses the proxy and trusts ${place.theCa}${place.how}`);
  // In the clear nothing has to be trusted.
  if (await reaches(trial, path, `http://${OWN_NAME}/`, place))
    return place.testsTrust
      ? warning(
          check,
          `uses the proxy and does not trust ${place.theCa}${place.how}`,
          'start it with mtlsd run, or: mtlsd ca install',
        )
      : ok(check, `uses the proxy${place.how}; trust is not tested: ${UNTESTED}`);
  const old = client === 'Node' ? await oldNodeWarning(path) : null;
  const [message, next] = old?.split('\nnext: ') ?? [];
  return warning(
    check,
    message?.replace(/^mtlsd: /, '') ?? `does not use the proxy${place.how}`,
    next?.trim() ?? 'start it with mtlsd run; its own settings may name another proxy',
  );
}

async function reaches({ args, env, answered }: Trial, path: string, url: string, place: Place): Promise<boolean> {
  const own = { ...place, env: { ...place.env, ...env?.(url, place.folder) } };
  const text = await output(path, args(url), own);
  return answered ? answered.test(text) : text.includes(OWN_ANSWER);
}

/** Compiling a program takes seconds: keytool asks over the network as any JVM does, and says what the JVM trusts. */
async function checkJava(home: string, place: Place): Promise<CheckResult> {
  const check = 'client Java';
  const keytool = await findProgram('keytool');
  if (keytool === null) return skipped(check, 'no keytool');
  const shown = await output(keytool, ['-printcert', '-sslserver', OWN_NAME], place);
  if (!shown.includes(`DNSName: ${OWN_NAME}`))
    return warning(check, `does not use the proxy${place.how}`, 'start it with mtlsd run');
  if (!place.testsTrust) return ok(check, `uses the proxy${place.how}; trust is not tested: ${UNTESTED}`);
  if (place.env.JAVA_TOOL_OPTIONS?.includes(join(home, 'clients')))
    return ok(check, `uses the proxy and trusts ${place.theCa}${place.how}`);
  const { current, next } = await readCas(home);
  const listed = await output(keytool, ['-list', '-cacerts', '-storepass', 'changeit'], place);
  return listed.includes((next ?? current).fingerprint256)
    ? ok(check, `uses the proxy, and the JDK's store has ${place.theCa}`)
    : warning(check, `uses the proxy and does not trust ${place.theCa}${place.how}`, 'start it with mtlsd run');
}

/** A browser without the local CA is what most people want: it is shown where everything is. */
async function checkBrowsers(home: string): Promise<CheckResult[]> {
  const { current, next } = await readCas(home);
  const { stores, tool } = await nssStores(current);
  if (stores.length === 0) return [];
  if (tool === null) return [skipped('browsers', 'certutil is not installed')];
  const coming = next && (await nssStores(next)).stores;
  return Promise.all(
    stores.map(async (store, index) => {
      const check = `browser ${store.used}`;
      if (!(await store.isInstalled()))
        return skipped(check, `${store.name} does not have the local CA: mtlsd ca install --nss`);
      if (coming && !(await coming[index]?.isInstalled()))
        return warning(check, `${store.name} does not have the new local CA`, 'mtlsd ca install --nss');
      return ok(check, `${store.name} has the local CA${coming ? ', and the new one' : ''}`);
    }),
  );
}

/** A variable that was set for another installation, or set manually, is the commonest reason why no request arrives. */
export function checkShell(proxy: readonly string[]): CheckResult {
  const value = process.env.https_proxy ?? process.env.HTTPS_PROXY;
  if (value === undefined) return skipped('shell', 'HTTPS_PROXY is not set; mtlsd run and mtlsd env set it');
  const place = URL.canParse(value) ? new URL(value).host : value;
  return proxy.includes(place)
    ? ok('shell', 'HTTPS_PROXY leads to the daemon')
    : failed('shell', `HTTPS_PROXY leads to ${place}, which is not this daemon`, 'eval "$(mtlsd env)"');
}

/** What it prints, on both streams, whatever it ends with. */
async function output(program: string, args: readonly string[], { env, folder }: Place): Promise<string> {
  const options = { timeout: TRIAL_MS, maxBuffer: 16 * 1024 * 1024, env, cwd: folder };
  return run(program, [...args], options).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}`,
  );
}
