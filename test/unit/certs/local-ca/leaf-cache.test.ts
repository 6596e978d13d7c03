import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mintLeaf } from '../../../../src/certs/local-ca/leaf.ts';
import { leafCache } from '../../../../src/certs/local-ca/leaf-cache.ts';
import { openLocalCa } from '../../../../src/certs/local-ca/local-ca.ts';
import { mint } from '../../../../src/certs/local-ca/mint.ts';
import { type Signer, signerOf } from '../../../../src/certs/local-ca/signer.ts';
import { certificateParts, OID } from '../../../../src/core/extensions.ts';
import { certificateFacts } from '../../../../src/core/facts.ts';
import { createPki, DAY, HOUR } from '../../../support/pki.ts';

let home: string;
let ca: Signer;
let caFile: string;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'mtlsd-leaf-'));
  const { current, certPath } = await openLocalCa(path.join(home, 'ca'));
  ca = current.signer;
  caFile = certPath;
});
afterAll(() => rmSync(home, { recursive: true }));

const longHost = `${'a'.repeat(60)}.example`;

describe('a leaf', () => {
  test.each([
    ['api.example', ['DNS:api.example'], 'CN=api.example'],
    ['xn--bcher-kva.example', ['DNS:xn--bcher-kva.example'], 'CN=xn--bcher-kva.example'],
    ['under_score.example', ['DNS:under_score.example'], 'CN=under_score.example'],
    ['192.0.2.7', ['IP:192.0.2.7'], 'CN=192.0.2.7'],
    ['::1', ['IP:::1'], 'CN=::1'],
    ['::', ['IP:::'], 'CN=::'],
    ['2001:db8::7:1', ['IP:2001:db8::7:1'], 'CN=2001:db8::7:1'],
    ['2001:db8:1:2:3:4:5:6', ['IP:2001:db8:1:2:3:4:5:6'], 'CN=2001:db8:1:2:3:4:5:6'],
    [longHost, [`DNS:${longHost}`], ''],
  ])('for %s carries that name and no other', (host, sans, subject) => {
    const leaf = mintLeaf(ca, host, publicKey);
    expect(certificateFacts(leaf)).toMatchObject({ sans, subject, ca: false, extended_key_usage: ['serverAuth'] });
    expect(leaf.checkIssued(ca.certificate) && leaf.verify(ca.certificate.publicKey)).toBe(true);
    const parts = certificateParts(leaf);
    // RFC 5280 §4.2.1.6
    expect(parts.extensions.get(OID.subjectAltName)?.critical).toBe(subject === '');
    expect(parts.extensions.get(OID.keyUsage)?.critical).toBe(true);
    const caIdentifier = certificateParts(ca.certificate).extensions.get(OID.subjectKeyIdentifier)?.value.subarray(2);
    expect(parts.extensions.get(OID.authorityKeyIdentifier)?.value.subarray(4)).toEqual(caIdentifier);
  });

  test('lives 90 days from an hour ago, and never longer than its CA', () => {
    const now = Date.now();
    const leaf = mintLeaf(ca, 'api.example', publicKey, now);
    expect(Math.round((leaf.validToDate.getTime() - now) / DAY)).toBe(90);
    expect(leaf.validFromDate.getTime()).toBe(
      Math.max(Math.floor((now - 3_600_000) / 1000) * 1000, ca.certificate.validFromDate.getTime()),
    );
    const late = ca.certificate.validToDate.getTime() - DAY;
    expect(mintLeaf(ca, 'api.example', publicKey, late).validTo).toBe(ca.certificate.validTo);
  });

  test('no two have one serial number, and none is longer than 20 octets', () => {
    const serials = Array.from({ length: 200 }, () => mintLeaf(ca, 'api.example', publicKey).serialNumber);
    expect(new Set(serials).size).toBe(200);
    expect(serials.every((serial) => /^[4-7][0-9A-F]{31}$/.test(serial))).toBe(true);
  });

  test('repeats the name of a CA that others made byte for byte, and its key identifier', async () => {
    const own = await (await createPki()).root({ subject: 'C=DE, O=Größe & Söhne, CN=own', key: 'rsa2048' });
    const leaf = mintLeaf(signerOf([own.x509], createPrivateKey(own.keyPem)), 'api.example', publicKey);
    expect(leaf.checkIssued(own.x509) && leaf.verify(own.x509.publicKey)).toBe(true);
    expect(certificateFacts(leaf).signature).toBe('sha256WithRSAEncryption');
  });

  test.skipIf(!hasOpenssl())('passes OpenSSL in its strict mode', () => {
    const files = ['api.example', '::1', longHost].map((host, index) => {
      const file = path.join(home, `${index}.pem`);
      writeFileSync(file, mintLeaf(ca, host, publicKey).toString());
      return file;
    });
    const said = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      caFile,
      ...files,
    ]);
    expect(said.toString()).toBe(files.map((file) => `${file}: OK\n`).join(''));
  });
});

describe('mint', () => {
  const dates = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2055-06-07T08:09:10Z') };

  test('writes years after 2049 as RFC 5280 wants them', () => {
    const certificate = mint({ subject: { commonName: 'x' }, publicKey, key: privateKey, ...dates });
    expect(certificateFacts(certificate)).toMatchObject({
      not_before: '2026-01-01T00:00:00Z',
      not_after: '2055-06-07T08:09:10Z',
    });
    expect(certificate.raw.includes(Buffer.from('20550607080910Z'))).toBe(true);
  });

  test('makes client certificates, and refuses to sign with nothing', () => {
    const certificate = mint({
      subject: { commonName: 'alice' },
      issuer: ca.issuer,
      publicKey,
      ...dates,
      purposes: ['clientAuth'],
    });
    expect(certificateFacts(certificate).extended_key_usage).toEqual(['clientAuth']);
    expect(() => mint({ publicKey, ...dates })).toThrow(/issuer, or its own private key/);
  });
});

describe('leafCache', () => {
  test('a client that trusts the local CA gets through, by name and by address', async () => {
    const cache = leafCache(() => ca);
    for (const host of ['api.example', '127.0.0.1']) {
      const server = tls.createServer({ SNICallback: (_, done) => done(null, cache.contextFor(host)) });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const socket = tls.connect({
        host: '127.0.0.1',
        port,
        servername: 'api.example',
        ca: ca.certificate.toString(),
        checkServerIdentity: (_, certificate) => tls.checkServerIdentity(host, certificate),
      });
      await once(socket, 'secureConnect');
      expect(socket.authorized).toBe(true);
      const leaf = new X509Certificate(socket.getPeerCertificate().raw);
      expect(leaf.checkHost(host) ?? leaf.checkIP(host)).toBe(host);
      socket.destroy();
      server.close();
    }
  });

  test('mints once for a host', () => {
    const cache = leafCache(() => ca);
    expect(cache.contextFor('a.example')).toBe(cache.contextFor('a.example'));
    expect(cache.contextFor('b.example')).not.toBe(cache.contextFor('a.example'));
    expect(cache).toMatchObject({ size: 2, minted: 2 });
  });

  test('keeps so many and lets the least recently used go', () => {
    const cache = leafCache(() => ca, { max: 2 });
    const a = cache.contextFor('a.example');
    const b = cache.contextFor('b.example');
    cache.contextFor('a.example');
    cache.contextFor('c.example');
    expect(cache.size).toBe(2);
    expect(cache.contextFor('a.example')).toBe(a);
    expect(cache.contextFor('b.example')).not.toBe(b);
  });

  test('renews well before the end', () => {
    let now = Date.now();
    const cache = leafCache(() => ca, { now: () => now });
    const first = cache.contextFor('a.example');
    now += 59 * DAY;
    expect(cache.contextFor('a.example')).toBe(first);
    now += 2 * DAY;
    expect(cache.contextFor('a.example')).not.toBe(first);
  });

  test('mints again when the clock was set back before the beginning of the leaf', () => {
    let now = Date.now() + 2 * DAY;
    const cache = leafCache(() => ca, { now: () => now });
    const first = cache.contextFor('a.example');
    now -= HOUR / 2;
    expect(cache.contextFor('a.example')).toBe(first);
    now -= DAY;
    expect(cache.contextFor('a.example')).not.toBe(first);
  });
});

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    return false;
  }
}
