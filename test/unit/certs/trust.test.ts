import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ClientIdentity } from '../../../src/certs/identity/identity.ts';
import { type ContextOptions, loadTrust, secureContextFor } from '../../../src/certs/trust.ts';
import { MtlsdError } from '../../../src/core/errors.ts';
import { type Authority, createPki, type Issued, type Pki } from '../../support/pki.ts';

let pki: Pki;
let root: Authority;
let other: Authority;
const servers: tls.Server[] = [];

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root({ cn: 'root' });
  other = await pki.root({ cn: 'other' });
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const file = 'corp-root.pem';
const trusting = (...pems: string[]) => loadTrust({ system: false, ca: pems.map((pem) => ({ pem, file })) });

/** TRUSTED CERTIFICATE */
const marked = (...mark: string[]): string =>
  execFileSync('openssl', ['x509', '-trustout', ...mark], { input: root.certPem, encoding: 'utf8' });

function refusal(work: () => unknown): MtlsdError {
  try {
    work();
  } catch (error) {
    if (error instanceof MtlsdError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('loadTrust', () => {
  test('takes the system anchors, and those of the runtime at the least', () => {
    const trust = loadTrust({ system: true, ca: [] });
    expect(trust.certificates.length).toBeGreaterThan(20);
    expect(new Set(trust.pems).size).toBe(trust.pems.length);
  });

  test('an equal set is the same set, in any order and with repeated certificates', () => {
    const both = trusting(root.certPem, other.certPem);
    expect(trusting(`${other.certPem}\n# a comment\n${root.certPem}${root.certPem}`)).toBe(both);
    expect(both.certificates).toHaveLength(2);
    expect(trusting(root.certPem).id).not.toBe(both.id);
    expect(loadTrust({ system: true, ca: [{ pem: root.certPem, file }] }).certificates.length).toBe(
      loadTrust({ system: true, ca: [] }).certificates.length + 1,
    );
  });

  test('takes CRLF, a byte order mark and bag attributes', () => {
    const pem = `\uFEFFBag Attributes\n  friendlyName: x\n${root.certPem}`.replaceAll('\n', '\r\n');
    expect(trusting(pem)).toBe(trusting(root.certPem));
  });

  test.each([
    ['-addtrust', 'serverAuth'],
    ['-addtrust', 'anyExtendedKeyUsage'],
    ['-addreject', 'clientAuth'],
    ['-setalias', 'Corp'],
  ])('takes a root that is marked with %s %s', (...mark) => {
    expect(trusting(marked(...mark)).certificates).toHaveLength(1);
  });

  test.each([
    ['nothing', () => '', /corp-root\.pem holds no certificate/],
    ['text', () => 'not a certificate', /holds no certificate/],
    ['DER', () => root.x509.raw.toString('latin1'), /holds no certificate/],
    [
      'a truncated block',
      () => root.certPem + other.certPem.slice(0, 300),
      /block 2 of 2 in corp-root\.pem is not a readable/,
    ],
    ['garbage in a block', () => `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, /block 1 of 1/],
    [
      'a private key',
      () => root.certPem + root.keyPem,
      /block 2 of 2 in corp-root\.pem is not a certificate but PRIVATE KEY/,
    ],
    [
      'a root that is marked as rejected for servers',
      () => other.certPem + marked('-addreject', 'serverAuth'),
      /block 2 of 2 in corp-root\.pem is marked as not trusted for TLS servers: CN=root/,
    ],
    [
      'a root that is marked as trusted for clients only',
      () => marked('-addtrust', 'clientAuth'),
      /not trusted for TLS servers/,
    ],
  ])('refuses %s and says where', (_, pem, message) => {
    const error = refusal(() => trusting(pem()));
    expect(error.code).toBe('BAD_CONFIGURATION');
    expect(error.message).toMatch(message);
    expect(error.hint).toContain(file);
    expect(error.message).not.toContain('MII');
  });
});

describe('secureContextFor', () => {
  const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const;

  test('is one context for one identity, trust and range of versions', async () => {
    const trust = trusting(root.certPem);
    const alice = identityOf(await root.issue({ cn: 'alice' }));
    const bob = identityOf(await root.issue({ cn: 'bob' }));
    const base = secureContextFor({ identity: alice, trust, ...versions });
    expect(secureContextFor({ identity: alice, trust: trusting(root.certPem), ...versions })).toBe(base);
    const others = [
      secureContextFor({ identity: bob, trust, ...versions }),
      secureContextFor({ identity: null, trust, ...versions }),
      secureContextFor({ identity: alice, trust: trusting(other.certPem), ...versions }),
      secureContextFor({ identity: alice, trust, ...versions, minVersion: 'TLSv1.3' }),
      secureContextFor({ identity: alice, trust, ...versions, maxVersion: 'TLSv1.2' }),
    ];
    expect(new Set([base, ...others]).size).toBe(6);
  });

  test('presents the identity and trusts the anchors', async () => {
    const server = await root.issue({ cn: 'localhost' });
    const alice = identityOf(await root.issue({ cn: 'alice' }));
    const trust = trusting(root.certPem);
    const seen = await handshake(server, { identity: alice, trust, ...versions });
    expect(seen).toMatchObject({ authorized: true, client: 'alice' });
    const untrusting = await handshake(server, { identity: alice, trust: trusting(other.certPem), ...versions });
    expect(untrusting).toMatchObject({ authorized: false });
  });

  test('an empty set trusts no CA, not even those of the runtime', async () => {
    const server = await root.issue({ cn: 'localhost' });
    const before = tls.getCACertificates('default');
    tls.setDefaultCACertificates([root.certPem]);
    try {
      const seen = await handshake(server, {
        identity: null,
        trust: loadTrust({ system: false, ca: [] }),
        ...versions,
      });
      expect(seen).toMatchObject({ authorized: false });
    } finally {
      tls.setDefaultCACertificates(before);
    }
  });

  test('an intermediate named as an anchor is one', async () => {
    const intermediate = await root.intermediate();
    const server = await intermediate.issue({ cn: 'localhost' });
    const seen = await handshake(server, { identity: null, trust: trusting(intermediate.certPem), ...versions });
    expect(seen).toMatchObject({ authorized: true });
  });

  test('reaches a server of TLS 1.1 only where the range says so', async () => {
    const server = await root.issue({ cn: 'localhost', key: 'rsa2048' });
    const trust = trusting(root.certPem);
    const legacy = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
    const seen = await handshake(server, { identity: null, trust, ...versions, minVersion: 'TLSv1.1' }, legacy);
    expect(seen).toMatchObject({ protocol: 'TLSv1.1', authorized: true });
    await expect(handshake(server, { identity: null, trust, ...versions }, legacy)).rejects.toThrow(/protocol version/);
  });
});

function identityOf(issued: Issued): ClientIdentity {
  return {
    id: issued.x509.fingerprint256,
    leaf: issued.x509,
    chain: [issued.x509],
    issuer: null,
    facts: [],
    certPem: issued.chainPem,
    keyPem: () => issued.keyPem,
  };
}

async function handshake(issued: Issued, options: ContextOptions, serverOptions: tls.TlsOptions = {}) {
  const server = tls.createServer({
    cert: issued.chainPem,
    key: issued.keyPem,
    requestCert: true,
    rejectUnauthorized: false,
    ...serverOptions,
  });
  servers.push(server);
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    secureContext: secureContextFor(options),
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  const [peer] = await accepted;
  const client = peer.getPeerCertificate().subject?.CN ?? null;
  const seen = { authorized: socket.authorized, protocol: socket.getProtocol(), client };
  socket.destroy();
  return seen;
}
