/**
 * Whether each kind of client on this machine, started from this shell, would trust the local CA. Those that can say so in
 * one line are asked to fetch from a server of ours with a leaf of the CA; of the others the store that they read is looked at.
 */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mintLeaf } from '../../certs/local-ca/leaf.ts';
import { openLocalCa } from '../../certs/local-ca/local-ca.ts';
import { readCa } from '../ca-file.ts';
import { findProgram } from '../programs.ts';
import { nssStores } from '../trust-stores/nss.ts';
import { failed, type Finding, ok, skipped, warning } from './check.ts';

const run = promisify(execFile);
/** Some start a runtime, all at once. */
const TRIAL_MS = 20_000;

interface Trial {
  readonly client: string;
  readonly program: string;
  /** Fetches without any proxy; ends with 0 where it trusts the server. */
  readonly args: (url: string) => readonly string[];
}

const PYTHON =
  'import sys,ssl,urllib.request as u;u.build_opener(u.ProxyHandler({}),u.HTTPSHandler(context=ssl.create_default_context())).open(sys.argv[1],timeout=8)';
const PYTHON_REQUESTS = 'import sys,requests as r;r.get(sys.argv[1],proxies={"http":"","https":""},timeout=8)';
const NODE =
  'require("node:https").get(process.argv[1],{agent:false},r=>process.exit(r.statusCode===200?0:1)).on("error",()=>process.exit(1))';
const RUBY = 'require "net/http";h=Net::HTTP.new("localhost",URI(ARGV[0]).port,nil);h.use_ssl=true;h.get("/")';

// biome-ignore format: a table reads best as a table
const TRIALS: readonly Trial[] = [
  { client: 'curl', program: 'curl', args: (url) => ['-q', '-sS', '--noproxy', '*', '-o', '/dev/null', url] },
  { client: 'wget', program: 'wget', args: (url) => ['--no-proxy', '-q', '-O', '/dev/null', url] },
  { client: 'git', program: 'git', args: (url) => ['-c', 'http.proxy=', 'ls-remote', url] },
  { client: 'Python', program: 'python3', args: (url) => ['-c', PYTHON, url] },
  { client: 'Python requests', program: 'python3', args: (url) => ['-c', PYTHON_REQUESTS, url] },
  { client: 'Node', program: 'node', args: (url) => ['-e', NODE, url] },
  { client: 'Ruby', program: 'ruby', args: (url) => ['-e', RUBY, url] },
  { client: 'Deno', program: 'deno', args: (url) => ['eval', `await fetch("${url}")`] },
];

export async function checkClients(home: string): Promise<Finding[]> {
  await using server = await startServer(home);
  const findings = await Promise.all(TRIALS.map((trial) => tryOut(trial, server)));
  return [...findings, await checkJava(home), ...(await checkBrowsers(home))];
}

/** Says its name and goes: what git wants to hear, and enough for all others. */
async function startServer(home: string) {
  const ca = await openLocalCa(join(home, 'ca'));
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = createServer(
    {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: mintLeaf(ca, 'localhost', publicKey, Date.now()).toString() + ca.certPem,
    },
    (_request, response) => {
      // An empty repository, as git's smart protocol has it.
      response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
      response.end('001e# service=git-upload-pack\n00000000');
    },
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}/`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function tryOut({ client, program, args }: Trial, { url }: { readonly url: string }): Promise<Finding> {
  const path = await findProgram(program);
  if (path === null) return skipped(`client ${client}`, 'not installed');
  if (client === 'Python requests' && !(await succeeds(path, ['-c', 'import requests'])))
    return skipped(`client ${client}`, 'not installed');
  return (await succeeds(path, args(url)))
    ? ok(`client ${client}`, 'trusts the local CA')
    : warning(
        `client ${client}`,
        'does not trust the local CA when started from here',
        'start it with mtlsd run, or: mtlsd ca install',
      );
}

/** The JVM takes seconds to fetch anything; keytool says what it would trust. */
async function checkJava(home: string): Promise<Finding> {
  const keytool = await findProgram('keytool');
  if (keytool === null) return skipped('client Java', 'no keytool');
  if (process.env.JAVA_TOOL_OPTIONS?.includes(join(home, 'clients')))
    return ok('client Java', 'JAVA_TOOL_OPTIONS names our trust store');
  const { fingerprint256 } = await readCa(home);
  const listed = await run(keytool, ['-list', '-cacerts', '-storepass', 'changeit'], {
    timeout: 3 * TRIAL_MS,
    maxBuffer: 16 * 1024 * 1024,
  }).then(
    ({ stdout }) => stdout,
    () => '',
  );
  return listed.includes(fingerprint256)
    ? ok('client Java', "the JDK's store has the local CA")
    : warning('client Java', "the JDK's store has not the local CA", 'start it with mtlsd run');
}

async function checkBrowsers(home: string): Promise<Finding[]> {
  const { stores, tool } = await nssStores(await readCa(home));
  if (stores.length === 0) return [];
  if (tool === null) return [skipped('browsers', 'certutil is not installed, which could tell')];
  return Promise.all(
    stores.map(async (store) =>
      (await store.isInstalled())
        ? ok(`browser ${store.used}`, `${store.name} has the local CA`)
        : warning(`browser ${store.used}`, `${store.name} has not the local CA`, 'mtlsd ca install --nss'),
    ),
  );
}

/** A variable that was set for another installation, or by hand, is the commonest reason why nothing comes here. */
export function checkShell(proxy: readonly string[]): Finding {
  const value = process.env.https_proxy ?? process.env.HTTPS_PROXY;
  if (value === undefined) return skipped('shell', 'HTTPS_PROXY is not set; mtlsd run and mtlsd env set it');
  const place = URL.canParse(value) ? new URL(value).host : value;
  return proxy.includes(place)
    ? ok('shell', 'HTTPS_PROXY leads to the daemon')
    : failed('shell', `HTTPS_PROXY leads to ${place}, which is not this daemon`, 'eval "$(mtlsd env)"');
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', NODE_USE_ENV_PROXY: '', NODE_NO_WARNINGS: '1' };
  return run(program, [...args], { timeout: TRIAL_MS, env }).then(
    () => true,
    () => false,
  );
}
