import { createPrivateKey, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { certificateFacts, printable } from '../../../src/core/facts.ts';
import { type Authority, createPki, type KeyKind, type Pki } from '../../support/pki.ts';

let pki: Pki;
let root: Authority;

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root({ subject: 'C=DE, O=Example Ltd, OU=PKI, CN=example root' });
});

describe('certificateFacts', () => {
  test('a damaged extended key usage allows nothing, and the next key is read', async () => {
    const leaf = await root.issue();
    const usage = Buffer.from('06082b06010505070302', 'hex');
    const der = Buffer.from(leaf.x509.raw);
    expect(der.includes(usage)).toBe(true);
    der[der.indexOf(usage)] = 0x04; // an OCTET STRING where the OID of clientAuth was
    expect(certificateFacts(new X509Certificate(der)).extended_key_usage).toEqual([]);
    expect(createPrivateKey(leaf.keyPem).type).toBe('private');
  });

  test('reads what a person asks of a certificate', async () => {
    const leaf = await root.issue({
      cn: 'api.example',
      sans: [
        'api.example',
        '*.api.example',
        '2001:db8::1',
        '192.0.2.7',
        'email:a@api.example',
        'URI:https://x.example/a,b',
      ],
      eku: ['serverAuth', '1.2.3.4'],
      notBefore: new Date('2026-01-02T03:04:05Z'),
      notAfter: new Date('2027-01-02T03:04:05Z'),
      serial: '0badcafe',
    });
    expect(certificateFacts(leaf.x509)).toMatchObject({
      subject: 'CN=api.example',
      issuer: 'CN=example root, OU=PKI, O=Example Ltd, C=DE',
      issuer_name: {
        common_name: 'example root',
        organization: 'Example Ltd',
        organizational_unit: 'PKI',
        country: 'DE',
        state: null,
        locality: null,
      },
      sans: [
        'DNS:api.example',
        'DNS:*.api.example',
        'IP:2001:db8::1',
        'IP:192.0.2.7',
        'EMAIL:a@api.example',
        'URI:https://x.example/a,b',
      ],
      not_before: '2026-01-02T03:04:05Z',
      not_after: '2027-01-02T03:04:05Z',
      serial: '0BADCAFE',
      fingerprint256: leaf.x509.fingerprint256,
      self_signed: false,
      ca: false,
      key: 'EC P-256',
      signature: 'ecdsa-with-SHA256',
      extended_key_usage: ['serverAuth', '1.2.3.4'],
    });
    expect(certificateFacts(root.x509)).toMatchObject({ self_signed: true, ca: true, extended_key_usage: null });
  });

  test.each<[KeyKind, string, string]>([
    ['p256', 'EC P-256', 'ecdsa-with-SHA256'],
    ['p384', 'EC P-384', 'ecdsa-with-SHA256'],
    ['p521', 'EC P-521', 'ecdsa-with-SHA256'],
    ['ed25519', 'Ed25519', 'ED25519'],
    ['rsa1024', 'RSA 1024', 'sha256WithRSAEncryption'],
    ['rsa2048', 'RSA 2048', 'sha256WithRSAEncryption'],
    ['rsa-pss', 'RSA 2048', 'rsassaPss'],
  ])('names the key and the signature of %s', async (key, name, signature) => {
    const { x509: certificate } = await pki.selfSigned({ key });
    expect(certificateFacts(certificate)).toMatchObject({ key: name, signature, self_signed: true });
  });

  test('calls no certificate self-signed whose name only pretends to be', async () => {
    const imposter = await root.issue({ subject: 'C=DE, O=Example Ltd, OU=PKI, CN=example root' });
    expect(certificateFacts(imposter.x509)).toMatchObject({ self_signed: false });
  });

  test('keeps a name of a common name first in that order', async () => {
    const { x509: certificate } = await pki.selfSigned({ subject: 'CN=first, O=Example, C=ES' });
    expect(certificateFacts(certificate).subject).toBe('CN=first, O=Example, C=ES');
  });

  test('lets no name break out of its line or its field', async () => {
    const evil = 'a\r\nlevel=fatal \u001b[31m \u2028 \u202e \u0085';
    const { x509: certificate } = await pki.selfSigned({ subject: [{ O: ['a, CN=b'] }, { CN: [evil] }] });
    const facts = certificateFacts(certificate);
    const written = JSON.stringify(Object.values(facts.subject_name)) + facts.subject;
    expect(written).toContain('level=fatal');
    expect(written).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(facts.subject_name.organization).toBe('a, CN=b');
    expect(facts.subject).toMatch(/, O=a\\, CN=b$/);
  });

  test('a SAN that contains a separator stays one SAN', async () => {
    const { x509: certificate } = await pki.selfSigned({ sans: ['a.example, DNS:b.example', 'c.example'] });
    expect(certificateFacts(certificate).sans).toEqual(['DNS:a.example, DNS:b.example', 'DNS:c.example']);
  });

  test('caps what a hostile certificate can make a record hold', async () => {
    const sans = Array.from({ length: 2000 }, (_, index) => `${'x'.repeat(50)}${index}.example`);
    const { x509: certificate } = await pki.selfSigned({ cn: 'y'.repeat(5000), sans });
    expect(JSON.stringify(certificateFacts(certificate)).length).toBeLessThan(32 * 1024);
    expect(certificateFacts(certificate).sans.at(-1)).toBe('…');
  });

  test('gives the same facts for the same certificate, read once', async () => {
    const { x509: certificate } = await root.issue({ cn: 'once.example' });
    expect(certificateFacts(new X509Certificate(certificate.raw))).toBe(certificateFacts(certificate));
  });

  test('never throws where the certificate yields nothing', () => {
    const odd = new Proxy({} as X509Certificate, {
      get(_, property) {
        if (property === 'fingerprint256' || property === 'fingerprint') return 'odd';
        throw new Error('unreadable');
      },
    });
    expect(certificateFacts(odd)).toMatchObject({ subject: 'unknown', sans: [], key: 'unknown', self_signed: false });
  });
});

test('printable escapes line ends, escapes and bidi marks, and leaves letters of any script', () => {
  expect(printable('é \u65e5\u672c\n\u001b\u2028\u202e')).toBe('é \u65e5\u672c\\u000a\\u001b\\u2028\\u202e');
  expect(printable('\u{e0001}')).toBe('\\u{e0001}');
});
