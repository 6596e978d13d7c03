import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientIdentity } from '../../../../src/certs/identity/identity.ts';
import { loadIdentity, type LoadedIdentity } from '../../../../src/certs/identity/load.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { formats, type Format, makePki } from './formats.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mtlsd-formats-'));
const shell = (script: string) =>
  execFileSync('bash', ['-c', `umask 077; ${script}`], {
    cwd: folder,
    stdio: 'pipe',
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
const has = (program: string) => {
  try {
    execFileSync('which', [program], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
};

beforeAll(() => shell(makePki), 60_000);
afterAll(() => rm(folder, { recursive: true }));

function load(format: Format): Promise<LoadedIdentity> {
  shell(format.make);
  const at = (file: string | undefined) => (file === undefined ? null : { path: path.join(folder, file) });
  return loadIdentity({
    cert: at(format.cert),
    key: at(format.key),
    pfx: at(format.pfx),
    alias: format.alias ?? null,
    passphrase: format.passphrase === undefined ? null : { text: new Secret(format.passphrase) },
  });
}

/** A real handshake: the server demands a certificate of the root and reports its subject. */
async function handshake(
  identity: ClientIdentity,
  version: 'TLSv1.2' | 'TLSv1.3',
  sendChain: boolean,
): Promise<string> {
  const ca = [readFileSync(path.join(folder, 'root.crt'))];
  if (!sendChain) ca.push(readFileSync(path.join(folder, 'int.crt')));
  const server = tls.createServer(
    {
      cert: readFileSync(path.join(folder, 'p384.crt')),
      key: readFileSync(path.join(folder, 'p384.key')),
      ca,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => socket.end(`${socket.authorized} ${socket.getPeerCertificate().fingerprint256}`),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      cert: identity.certPem,
      key: identity.keyPem(),
    });
    let seen = '';
    for await (const chunk of socket) seen += String(chunk);
    return seen;
  } finally {
    server.close();
  }
}

/** Why a format can't be tried here, for the test's name; the test is then skipped. */
function missingFor({ java, make }: Format): string {
  const programs = [...(java ? ['keytool'] : []), ...(make.includes('ssh-keygen') ? ['ssh-keygen'] : [])];
  const missing = programs.filter((program) => !has(program)).join();
  return missing === '' ? '' : ` (skipped: ${missing} is not installed)`;
}

const cases = formats.map((format) => ({ ...format, note: missingFor(format) }));

describe('loads and is accepted by a server on TLS 1.2 and 1.3', () => {
  for (const format of cases.filter(({ refused }) => refused === undefined)) {
    test.skipIf(format.note !== '')(`${format.name}${format.note}`, async () => {
      const { identity, problems } = await load(format);
      expect(problems.filter(({ code }) => !format.warnings?.includes(code))).toEqual([]);
      expect(problems.map(({ code }) => code)).toEqual(format.warnings ?? []);
      const { chain, leaf } = identity as ClientIdentity;
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        expect(await handshake(identity as ClientIdentity, version, chain.length > 1)).toBe(
          `true ${leaf.fingerprint256}`,
        );
      }
    });
  }
});

describe('is refused, with what to do instead', () => {
  for (const format of cases.filter(({ refused }) => refused !== undefined)) {
    test.skipIf(format.note !== '')(`${format.name}${format.note}`, async () => {
      const { identity, problems } = await load(format);
      expect(identity).toBeNull();
      expect(problems[0]).toMatchObject({ code: format.refused, severity: 'error' });
      expect(problems[0]?.hint).not.toBe('');
    });
  }
});
