import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WITHOUT_CRLS } from '../../../../src/core/revocation/book.ts';
import { authorityOf } from '../../../../src/core/authority.ts';
import { type ProbeOptions, probe } from '../../../../src/inspect/probe/probe.ts';
import { type Authority, createPki, type Issued, type Pki } from '../../../support/pki.ts';

let pki: Pki;
let root: Authority;
let clients: Authority;
let intermediate: Authority;
let leaf: Issued;
let alice: Issued;
let dir: string;
const closing: (() => void)[] = [];

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root({ cn: 'root' });
  clients = await pki.root({ subject: [{ C: ['DE'] }, { O: ['Größe, und Söhne'] }, { CN: ['clients'] }] });
  intermediate = await root.intermediate();
  leaf = await intermediate.issue();
  alice = await clients.issue({ cn: 'alice' });
  dir = mkdtempSync(path.join(tmpdir(), 'mtlsd-probe-'));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
afterAll(() => rmSync(dir, { recursive: true }));

function look(port: number, more: Partial<ProbeOptions> = {}) {
  return probe({
    authority: authorityOf('localhost', port),
    connect: async () => {
      const socket = net.connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
    expectation: {
      mode: 'enforce',
      anchors: [root.x509],
      allow: [],
      pins: [],
      minVersion: 'TLSv1.2',
      revocation: WITHOUT_CRLS,
    },
    timeoutMs: 5000,
    ciphers: false,
    ...more,
  });
}

const ours = () => ({ certPem: alice.certPem, keyPem: alice.keyPem, chain: [alice.x509] });

async function serve(options: tls.TlsOptions): Promise<number> {
  const server = tls.createServer({ cert: leaf.chainPem, key: leaf.keyPem, ...options });
  server.on('tlsClientError', () => {});
  return listen(server);
}

async function listen(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  closing.push(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const demanding = () => ({ requestCert: true, ca: [clients.certPem, root.certPem] });
const asking = () => ({ ...demanding(), rejectUnauthorized: false });

describe('a node server', () => {
  test('that asks for no certificate is reported completely', async () => {
    const port = await serve({ ALPNProtocols: ['http/1.1', 'h2'] });
    expect(await look(port, { identity: ours() })).toMatchObject({
      authority: `localhost:${port}`,
      address: { ip: '127.0.0.1', port, family: 4 },
      server_name: 'localhost',
      error: null,
      attempts: [
        { version: 'TLSv1.3', certificate: 'none', outcome: 'accepted', requested: false, sent: false, alert: null },
        { version: 'TLSv1.2', certificate: 'none', outcome: 'accepted', requested: false, sent: false },
        { version: 'TLSv1.3', certificate: 'ours', outcome: 'accepted', requested: false, sent: false },
        { version: 'TLSv1.2', certificate: 'ours', outcome: 'accepted', requested: false, sent: false },
        { version: 'TLSv1.1', outcome: 'refused', alert: { number: 70, name: 'protocol_version' } },
        { version: 'TLSv1', outcome: 'refused', requested: null, sent: null },
      ],
      versions: [
        { version: 'TLSv1.3', offered: true },
        { version: 'TLSv1.2', offered: true },
        { version: 'TLSv1.1', offered: false },
        { version: 'TLSv1', offered: false },
      ],
      alpn: ['http/1.1', 'h2'],
      server: {
        chain: [{ subject: 'CN=localhost' }, { subject: 'CN=test intermediate' }, { subject: 'CN=root' }],
        sent: [{ subject: 'CN=localhost' }, { subject: 'CN=test intermediate' }],
      },
      verification: { complete: true, mode: 'enforce', authorized: true, problems: [] },
      client_certificate: { requested: false, required: false, ca_names: [], issuer_named: null, ours: 'accepted' },
    });
  });

  test.each([
    ['TLSv1.2', 40, ['ecdsa_sign']],
    ['TLSv1.3', 116, []],
  ] as const)('that demands a certificate on %s names its CAs', async (version, number, types) => {
    const port = await serve({ ...demanding(), minVersion: version, maxVersion: version });
    const result = await look(port, { identity: ours() });
    expect(result.client_certificate).toMatchObject({
      requested: true,
      required: true,
      ca_names: ['CN=clients, O=Größe\\, und Söhne, C=DE', 'CN=root'],
      signature_algorithms: expect.arrayContaining(['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256']),
      certificate_types: expect.arrayContaining([...types]),
      issuer_named: true,
      ours: 'accepted',
    });
    const at = (certificate: string) =>
      result.attempts.find((each) => each.version === version && each.certificate === certificate);
    expect(at('none')).toMatchObject({
      outcome: 'refused',
      requested: true,
      sent: false,
      alert: { number, meaning: expect.stringContaining('requires one') },
    });
    expect(at('ours')).toMatchObject({ outcome: 'accepted', requested: true, sent: true, alert: null });
    expect(result.verification).toMatchObject({ complete: true, authorized: true });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that asks on %s and takes none is told apart from one that demands',
    async (version) => {
      const port = await serve({ ...asking(), minVersion: version, maxVersion: version });
      expect((await look(port)).client_certificate).toMatchObject({
        requested: true,
        required: false,
        issuer_named: null,
        ours: null,
      });
    },
  );

  test('that demands one on TLS 1.2 alone is judged by its certificates, as far as they go', async () => {
    const expired = await root.issue({ notBefore: new Date('2025-01-01'), notAfter: new Date('2025-02-01') });
    const port = await serve({ ...demanding(), cert: expired.certPem, key: expired.keyPem, maxVersion: 'TLSv1.2' });
    const { verification, server } = await look(port);
    expect(verification).toMatchObject({
      complete: false,
      authorized: false,
      problems: [{ code: 'CERT_HAS_EXPIRED', depth: 0 }],
    });
    expect(server.chain).toMatchObject([{ subject: 'CN=localhost' }, { subject: 'CN=root' }]);
    const good = await look(await serve({ ...demanding(), maxVersion: 'TLSv1.2' }));
    expect(good.verification).toMatchObject({ complete: false, problems: [] });
  });

  test('that knows another CA refuses ours', async () => {
    const port = await serve({ ...demanding(), ca: [root.certPem] });
    const { client_certificate, attempts } = await look(port, { identity: ours() });
    expect(client_certificate).toMatchObject({
      issuer_named: false,
      ca_names: ['CN=root'],
      ours: expect.stringMatching(/refused|closed/),
    });
    expect(attempts.filter(({ certificate }) => certificate === 'ours')).toMatchObject([
      { version: 'TLSv1.3', outcome: expect.stringMatching(/refused|closed/), sent: true },
      { version: 'TLSv1.2', outcome: expect.stringMatching(/refused|closed/), sent: true },
    ]);
  });

  test('that takes no key of our kind is sent none, and it shows', async () => {
    const port = await serve({ ...asking(), sigalgs: 'rsa_pss_rsae_sha256', ...(await rsaServer()) });
    const { attempts } = await look(port, { identity: ours() });
    expect(attempts.find(({ version, certificate }) => version === 'TLSv1.3' && certificate === 'ours')).toMatchObject({
      requested: true,
      sent: false,
    });
  });

  test('with problems has them listed', async () => {
    const bad = await pki.selfSigned({
      cn: 'elsewhere.example',
      notBefore: new Date('2025-01-01'),
      notAfter: new Date('2025-02-01'),
    });
    const port = await serve({ cert: bad.certPem, key: bad.keyPem });
    const { verification } = await look(port);
    expect(verification.problems.map(({ code }) => code)).toEqual([
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'CERT_HAS_EXPIRED',
      'HOSTNAME_MISMATCH',
    ]);
  });

  test('is verified by the name that a rule gives', async () => {
    const named = await root.issue({ cn: 'real.example' });
    const port = await serve({ cert: named.certPem, key: named.keyPem });
    expect(await look(port, { serverName: 'real.example' })).toMatchObject({
      server_name: 'real.example',
      verification: { authorized: true },
    });
  });

  test('that asks for another group first is read through its HelloRetryRequest', async () => {
    const port = await serve({ ...asking(), ecdhCurve: 'P-521' });
    expect((await look(port)).client_certificate.ca_names).toHaveLength(2);
  });

  test.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
    'is read through %s',
    async (ciphers) => {
      const port = await serve({ ...asking(), minVersion: 'TLSv1.3', ciphers });
      const result = await look(port, { ciphers: true });
      expect(result.client_certificate.ca_names).toHaveLength(2);
      expect(result.ciphers).toEqual([{ version: 'TLSv1.3', suites: [ciphers] }]);
    },
  );

  test('that names many CAs has them all read, over many records', async () => {
    const many = await Promise.all(
      Array.from({ length: 100 }, (_, index) => pki.root({ cn: `authority number ${index} ${'x'.repeat(200)}` })),
    );
    const port = await serve({ requestCert: true, rejectUnauthorized: false, ca: many.map(({ certPem }) => certPem) });
    const { ca_names } = (await look(port)).client_certificate;
    expect(ca_names).toHaveLength(100);
    expect(ca_names[99]).toContain('authority number 99');
  });

  test('has all its ciphers found, TLS 1.2 too where it demands a certificate', async () => {
    const suites = ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'];
    const port = await serve({ ...demanding(), maxVersion: 'TLSv1.2', ciphers: suites.join(':') });
    const { ciphers } = await look(port, { ciphers: true });
    expect(ciphers.map(({ version }) => version)).toEqual(['TLSv1.2']);
    expect([...(ciphers[0]?.suites ?? [])].sort()).toEqual([
      'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
      'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
    ]);
  });

  test('of long ago is found to speak its old versions', async () => {
    const old = await root.issue({ key: 'rsa2048' });
    const port = await serve({
      cert: old.certPem,
      key: old.keyPem,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    });
    const { versions, error } = await look(port);
    expect(versions.map(({ offered }) => offered)).toEqual([false, false, true, true]);
    expect(error).toBeNull();
  });
});

async function rsaServer() {
  const rsa = await root.issue({ key: 'rsa2048' });
  return { cert: rsa.certPem, key: rsa.keyPem };
}

describe('no server', () => {
  test('because no program listens', async () => {
    const server = net.createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    const result = await look(port, { identity: ours() });
    expect(result).toMatchObject({
      address: null,
      error: expect.stringContaining('ECONNREFUSED'),
      alpn: [],
      server: { chain: [], sent: [] },
    });
    expect(result.attempts).toHaveLength(1);
    expect(result.client_certificate).toMatchObject({ requested: null, required: null });
  });

  test('because it speaks something else', async () => {
    const port = await listen(
      net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    const { attempts, versions } = await look(port);
    expect(attempts[0]?.outcome).toMatch(/refused|closed/);
    expect(versions.some(({ offered }) => offered)).toBe(false);
  });

  test('because it hangs up', async () => {
    const port = await listen(
      net.createServer((socket) => socket.on('error', () => {}).once('data', () => socket.destroy())),
    );
    expect((await look(port)).attempts.map(({ outcome }) => outcome)).toEqual(Array(4).fill('closed'));
  });

  test('because it never answers', async () => {
    const port = await listen(net.createServer((socket) => void socket.resume().on('error', () => {})));
    const { attempts } = await look(port, { timeoutMs: 50 });
    expect(attempts.map(({ outcome }) => outcome)).toEqual(Array(4).fill('timeout'));
  });
});

describe.skipIf(spawnSync('openssl', ['version']).status !== 0)('an openssl server', () => {
  test.each([
    ['-tls1_2', '-verify', false],
    ['-tls1_2', '-Verify', true],
    ['-tls1_3', '-verify', false],
    ['-tls1_3', '-Verify', true],
  ])('%s %s', async (version, verify, required) => {
    const files = leaf.write(dir, 'server');
    const ca = path.join(dir, 'clients.pem');
    writeFileSync(ca, clients.certPem + root.certPem);
    const server = spawn('openssl', [
      's_server',
      '-accept',
      '127.0.0.1:0',
      version,
      '-cert',
      files.cert,
      '-cert_chain',
      files.chain,
      '-key',
      files.key,
      verify,
      '1',
      '-verify_return_error',
      '-CAfile',
      ca,
    ]);
    closing.push(() => server.kill());
    const result = await look(await portOf(server), { identity: ours() });
    expect(result.client_certificate).toMatchObject({
      requested: true,
      required,
      issuer_named: true,
      ours: 'accepted',
    });
    expect([...result.client_certificate.ca_names].sort()).toEqual([
      'CN=clients, O=Größe\\, und Söhne, C=DE',
      'CN=root',
    ]);
    expect(result.server.sent[0]).toMatchObject({ subject: 'CN=localhost' });
  });
});

/** s_server prints `ACCEPT 127.0.0.1:PORT` once it listens. */
async function portOf({ stdout }: ChildProcess): Promise<number> {
  let text = '';
  for await (const chunk of stdout ?? []) {
    text += String(chunk);
    const match = /ACCEPT .*:(\d+)/.exec(text);
    if (match) return Number(match[1]);
  }
  throw new Error(`s_server did not start: ${text}`);
}
