/** A real step-ca (smallstep/certificates), built from Debian's Go packages, with an intermediate of the test's own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from './daemon.ts';
import type { Authority } from './pki.ts';
import { answers, freePort } from './ports.ts';
import { hasTool } from './tools.ts';

const source = new URL('./step-ca/main.go', import.meta.url).pathname;
const packages = '/usr/share/gocode/src/github.com/smallstep/certificates';

/** Whether step-ca can be built here; a failure where MTLSD_TEST_ALL is set (CI). */
export function hasStepCa(): boolean {
  if (!hasTool('go')) return false;
  if (existsSync(packages)) return true;
  if (process.env.MTLSD_TEST_ALL)
    throw new Error(
      'golang-github-smallstep-certificates-dev is not installed, and MTLSD_TEST_ALL asks for every test',
    );
  process.stderr.write('left out: tests that need golang-github-smallstep-certificates-dev, which is not installed\n');
  return false;
}

/** Built once for a version of the source and of the packages, beside the libraries: it takes half a minute. */
function binary(): string {
  const stamp = createHash('sha256')
    .update(`${statSync(source).mtimeMs} ${statSync(packages).mtimeMs}`)
    .digest('hex')
    .slice(0, 16);
  const folder = new URL('../../node_modules/.cache/mtlsd-test', import.meta.url).pathname;
  const file = join(folder, `step-ca-${stamp}`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  // Two test files may build it at once; each has its own until it is whole.
  const fresh = `${file}.${process.pid}`;
  const { status, stderr } = spawnSync('go', ['build', '-o', fresh, source], {
    env: { ...process.env, GO111MODULE: 'off', GOFLAGS: '', GOPATH: '/usr/share/gocode' },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`step-ca can't be built: ${stderr}`);
  renameSync(fresh, file);
  return file;
}

export interface StepCa {
  /** `https://localhost:PORT` */
  readonly url: string;
  readonly process: ChildProcess;
  readonly output: () => string;
  /** A one-time token of its JWK provisioner, for a first certificate. */
  token(subject: string, sans: readonly string[]): string;
  close(): Promise<void>;
}

/** @param lifetime of Go's kind, as `3m`; renewals keep the lifetime that a certificate has */
export async function stepCa(root: Authority, intermediate: Authority, lifetime = '24h'): Promise<StepCa> {
  const program = binary();
  const dir = temporaryDirectory();
  const port = await freePort();
  root.write(dir, 'root');
  intermediate.write(dir, 'intermediate');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const url = `https://localhost:${port}`;
  const claims = { minTLSCertDuration: '5s', defaultTLSCertDuration: lifetime, maxTLSCertDuration: '240h' };
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', kid: 'test', alg: 'ES256' };
  writeFileSync(
    join(dir, 'ca.json'),
    JSON.stringify({
      root: join(dir, 'root.crt'),
      crt: join(dir, 'intermediate.crt'),
      key: join(dir, 'intermediate.key'),
      address: `127.0.0.1:${port}`,
      dnsNames: ['localhost'],
      logger: { format: 'text' },
      db: { type: 'badgerv2', dataSource: join(dir, 'db') },
      authority: { provisioners: [{ type: 'JWK', name: 'test', key: jwk, claims }] },
    }),
  );
  const child = spawn(program, [join(dir, 'ca.json')], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.on('close', () => {
      ended = true;
      resolve();
    }),
  );
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  while (!(await answers(port))) {
    if (ended) throw new Error(`step-ca ended: ${output}`);
    await sleep(20);
  }
  return {
    url,
    process: child,
    output: () => output,
    token: (subject, sans) => tokenOf(privateKey, `${url}/1.0/sign`, subject, sans),
    async close() {
      child.kill('SIGKILL');
      await end;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function tokenOf(key: KeyObject, audience: string, subject: string, sans: readonly string[]): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = part({ alg: 'ES256', kid: 'test', typ: 'JWT' });
  const body = part({
    iss: 'test',
    aud: audience,
    sub: subject,
    sans,
    iat: now,
    nbf: now - 1,
    exp: now + 300,
    jti: randomUUID(),
  });
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' });
  return `${head}.${body}.${signature.toString('base64url')}`;
}
