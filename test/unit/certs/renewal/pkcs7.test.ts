/** What a CA answers with: certs-only PKCS#7 of two programs, and garbage of every kind. */
import 'reflect-metadata';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { certificatesOfPkcs7 } from '../../../../src/certs/renewal/pkcs7.ts';
import { RenewalFault } from '../../../../src/certs/renewal/fault.ts';
import { temporaryDirectory } from '../../../support/daemon.ts';
import { type Authority, createPki, type Issued } from '../../../support/pki.ts';

let root: Authority;
let leaf: Issued;
let message: Buffer;

beforeAll(async () => {
  root = await (await createPki()).root({ key: 'rsa2048' });
  leaf = await root.issue({ subject: 'C=CH, CN=me', key: 'ed25519' });
  const all = [leaf, root].map(({ certPem }) => new x509.X509Certificate(certPem));
  message = Buffer.from(new x509.X509Certificates(all).export('raw'));
});

test('certificates come out byte for byte', () => {
  const read = certificatesOfPkcs7(message, 'ca');
  expect(read.map(({ raw }) => raw.toString('hex'))).toEqual([leaf, root].map(({ x509 }) => x509.raw.toString('hex')));
});

test("OpenSSL's, too", () => {
  const file = join(temporaryDirectory(), 'all.pem');
  writeFileSync(file, leaf.certPem + root.certPem);
  const { stdout } = spawnSync('openssl', ['crl2pkcs7', '-nocrl', '-certfile', file, '-outform', 'DER']);
  const read = certificatesOfPkcs7(stdout, 'ca').map(({ fingerprint256 }) => fingerprint256);
  expect(read.sort()).toEqual([leaf, root].map(({ x509 }) => x509.fingerprint256).sort());
});

test('BER with indefinite lengths, as Java writes it', () => {
  const [certificates] = [Buffer.concat([leaf, root].map(({ x509 }) => x509.raw))];
  const indefinite = (tag: number, ...parts: Buffer[]) =>
    Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
  const signedDataId = Buffer.from('06092a864886f70d010702', 'hex');
  const dataId = Buffer.from('06092a864886f70d010701', 'hex');
  const signedData = indefinite(
    0x30,
    Buffer.from('020101', 'hex'),
    Buffer.of(0x31, 0),
    indefinite(0x30, dataId),
    indefinite(0xa0, certificates ?? Buffer.alloc(0)),
    Buffer.of(0x31, 0),
  );
  const read = certificatesOfPkcs7(indefinite(0x30, signedDataId, indefinite(0xa0, signedData)), 'ca');
  expect(read.map(({ fingerprint256 }) => fingerprint256)).toEqual([leaf, root].map(({ x509 }) => x509.fingerprint256));
});

describe('garbage is refused', () => {
  const refused = (der: Buffer): string => {
    try {
      certificatesOfPkcs7(der, 'https://ca.example');
    } catch (error) {
      expect(error).toBeInstanceOf(RenewalFault);
      expect((error as RenewalFault).code).toBe('CA_ANSWER_INVALID');
      return (error as RenewalFault).message;
    }
    return 'taken';
  };

  test('cut off at every byte', () => {
    for (let end = 0; end < message.length; end++) expect(refused(message.subarray(0, end))).not.toBe('taken');
  });

  test('with any byte changed: an error of ours, or certificates', () => {
    for (let at = 0; at < message.length; at++) {
      const changed = Buffer.from(message);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      expect(() => refused(changed)).not.toThrow();
    }
  });

  test('a certificate alone, an empty message, text', () => {
    expect(refused(leaf.x509.raw)).toMatch(/not a PKCS#7 message/);
    expect(refused(Buffer.from(new x509.X509Certificates([]).export('raw')))).toMatch(/without a certificate/);
    expect(refused(Buffer.from('<html>'))).toMatch(/not a PKCS#7 message/);
    expect(refused(Buffer.from('300b06092a864886f70d010701', 'hex'))).toMatch(/PKCS#7/);
  });

  test('elements inside elements, as deep as an answer may be long', () => {
    const started = performance.now();
    expect(refused(Buffer.from('3080'.repeat(100_000), 'hex'))).not.toBe('taken');
    expect(refused(Buffer.from('3000'.repeat(100_000), 'hex'))).not.toBe('taken');
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
