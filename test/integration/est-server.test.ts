/** The tests' own EST server is held to another client: what strongSwan's accepts of it, it does right. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/daemon.ts';
import { type EstServer, estServer } from '../support/est-server.ts';
import { type Authority, createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

const run = promisify(execFile);

describe.skipIf(!hasTool('pki'))("strongSwan's client", () => {
  const dir = temporaryDirectory();
  let root: Authority;
  let est: EstServer;

  beforeAll(async () => {
    root = await (await createPki()).root({ key: 'rsa2048' });
    root.write(dir, 'root');
    est = await estServer({ root, user: { name: 'me', password: 'pass word' } });
  });
  afterAll(() => est.close());

  const request = async (name: string) => {
    const key = join(dir, `${name}.key`);
    const file = join(dir, `${name}.csr`);
    const { stdout } = await run('pki', ['--gen', '--type', 'rsa', '--size', '2048', '--outform', 'pem']);
    writeFileSync(key, stdout);
    const made = await run('pki', [
      '--req',
      '--in',
      key,
      '--type',
      'rsa',
      '--dn',
      'C=CH, O=Example, CN=me',
      '--san',
      'me.example',
      '--outform',
      'pem',
    ]);
    writeFileSync(file, made.stdout);
    return { key, file };
  };

  test('enrols with a password, and again with the certificate', async () => {
    const first = await request('first');
    const common = [
      '--est',
      '--url',
      est.url.replace(/\/\.well-known\/est$/, ''),
      '--cacert',
      join(dir, 'root.crt'),
      '--outform',
      'pem',
    ];
    const enrolled = await run('pki', [...common, '--in', first.file, '--userpass', 'me:pass word']);
    const certificate = new X509Certificate(enrolled.stdout);
    expect(certificate.subject).toBe('C=CH\nO=Example\nCN=me');
    const cert = join(dir, 'first.crt');
    writeFileSync(cert, enrolled.stdout);
    const second = await request('second');
    const again = await run('pki', [...common, '--in', second.file, '--cert', cert, '--key', first.key]);
    const renewed = new X509Certificate(again.stdout);
    expect(renewed.subject).toBe(certificate.subject);
    expect(renewed.subjectAltName).toBe('DNS:me.example');
    expect(est.requests.map(({ operation, client }) => [operation, client])).toEqual([
      ['simpleenroll', null],
      ['simplereenroll', certificate.fingerprint256],
    ]);
    expect(readFileSync(cert, 'utf8')).toBe(enrolled.stdout);
  });
});
