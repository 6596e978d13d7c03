/** Requests for every kind of key and of name, read by OpenSSL and by @peculiar/x509. */
import 'reflect-metadata';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { certificateParts } from '../../../../src/core/extensions.ts';
import { newKeyLike } from '../../../../src/certs/renewal/key.ts';
import { requestFor, requestLike } from '../../../../src/certs/renewal/request.ts';
import { type Authority, createPki } from '../../../support/pki.ts';

let root: Authority;
beforeAll(async () => {
  root = await (await createPki()).root();
});

const openssl = (args: readonly string[], input: Buffer | string) => {
  const { stdout, stderr, status } = spawnSync('openssl', args, { input });
  return { text: stdout.toString(), errors: stderr.toString(), status };
};

/** The library's types know names as text alone; it takes the kind of string as well. */
type Name = readonly Readonly<Record<string, readonly unknown[] | string>>[];
/** Declared for other kinds of keys only. */
const rsaPss = generateKeyPairSync as unknown as (type: 'rsa-pss', options: object) => { privateKey: KeyObject };

const keys: Record<string, () => KeyObject> = {
  'EC P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'EC P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  'EC P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  'EC secp256k1': () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey,
  'EC brainpoolP256r1': () => generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).privateKey,
  'RSA 2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  'RSA-PSS 2048': () => rsaPss('rsa-pss', { modulusLength: 2048 }).privateKey,
  'RSA-PSS 2048, SHA-256 only': () =>
    rsaPss('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: 'sha256',
      mgf1HashAlgorithm: 'sha256',
      saltLength: 32,
    }).privateKey,
  Ed25519: () => generateKeyPairSync('ed25519').privateKey,
  Ed448: () => generateKeyPairSync('ed448').privateKey,
};

describe('a key of each kind', () => {
  test.each(Object.keys(keys))('%s: a new one is like it, and signs a request', async (name) => {
    const old = (keys[name] as () => KeyObject)();
    const key = await newKeyLike(old);
    expect(key.asymmetricKeyType).toBe(old.asymmetricKeyType);
    expect(key.asymmetricKeyDetails).toEqual(old.asymmetricKeyDetails);
    expect(key.equals(old)).toBe(false);
    const { x509: certificate } = await root.issue({ cn: 'me', sans: ['me.example'] });
    const { text, errors, status } = openssl(
      ['req', '-inform', 'DER', '-verify', '-noout', '-subject'],
      requestLike(certificate, key),
    );
    expect({ status, errors }).toEqual({ status: 0, errors: expect.stringMatching(/verify OK/i) as string });
    expect(text).toMatch(/subject=CN ?= ?me/);
  });

  test('a key that a request can not be signed by is named', async () => {
    const { privateKey } = rsaPss('rsa-pss', {
      modulusLength: 2048,
      hashAlgorithm: 'sha512',
      mgf1HashAlgorithm: 'sha512',
      saltLength: 64,
    });
    const { x509: certificate } = await root.issue();
    expect(() => requestLike(certificate, privateKey)).toThrow(
      "a request can't be signed by a key of the kind rsa-pss with sha512",
    );
  });
});

describe('names are those of the certificate, byte for byte', () => {
  const key = (keys['EC P-256'] as () => KeyObject)();
  const subjects: Record<string, Name> = {
    'country down': [{ C: ['CH'] }, { O: ['Example'] }, { CN: ['me'] }],
    'common name first': [{ CN: ['me'] }, { O: ['Example'] }],
    'two in one RDN': [{ O: ['Example'] }, { CN: ['me'], '0.9.2342.19200300.100.1.1': ['u1'] }],
    'a PrintableString': [{ CN: [{ printableString: 'me' }] }],
    'a TeletexString in Latin-1': [{ CN: ['#1403e46263'] }],
    'a BMPString': [{ CN: [{ bmpString: 'mü' }] }],
    'beyond ASCII': [{ CN: ['Jürgen 山田'] }],
    'an e-mail address and a domain': [{ DC: [{ ia5String: 'example' }] }, { E: [{ ia5String: 'a@example' }] }],
    'an unknown attribute': [{ '1.2.3.4.5': [{ utf8String: 'x' }] }],
  };
  test.each(Object.keys(subjects))('%s', async (name) => {
    const certificate = (
      await root.issue({
        subject: subjects[name] as x509.JsonName,
        sans: ['a.example', '192.0.2.7', '2001:db8::1', 'email:a@example', 'URI:urn:x'],
      })
    ).x509;
    const request = new x509.Pkcs10CertificateRequest(requestLike(certificate, key));
    const { subject, extensions } = certificateParts(certificate);
    expect(Buffer.from(request.subjectName.toArrayBuffer()).toString('hex')).toBe(subject.toString('hex'));
    expect(request.extensions.map(({ type }) => type)).toEqual(['2.5.29.17']);
    expect(Buffer.from(request.extensions[0]?.value ?? new ArrayBuffer(0)).toString('hex')).toBe(
      extensions.get('2.5.29.17')?.value.toString('hex'),
    );
    expect(await request.verify()).toBe(true);
  });

  test('an empty subject with critical names', async () => {
    const certificate = (await root.issue({ cn: null, sans: ['a.example'] })).x509;
    const request = new x509.Pkcs10CertificateRequest(requestLike(certificate, key));
    expect(request.subject).toBe('');
    expect(request.extensions[0]?.critical).toBe(true);
  });

  test('no names at all', async () => {
    const certificate = (await root.issue({ cn: 'me', sans: [] })).x509;
    expect(new x509.Pkcs10CertificateRequest(requestLike(certificate, key)).extensions).toEqual([]);
  });
});

test('a first request has the names that are asked for', async () => {
  const request = new x509.Pkcs10CertificateRequest(
    requestFor('me', ['me.example', '192.0.2.7', '2001:db8::1'], (keys['EC P-256'] as () => KeyObject)()),
  );
  expect(request.subject).toBe('CN=me');
  const names = request.extensions[0] as x509.SubjectAlternativeNameExtension;
  expect(names.names.toJSON()).toEqual([
    { type: 'dns', value: 'me.example' },
    { type: 'ip', value: '192.0.2.7' },
    { type: 'ip', value: '2001:db8::1' },
  ]);
  expect(await request.verify()).toBe(true);
  const bare = new x509.Pkcs10CertificateRequest(requestFor('me', [], (keys['Ed25519'] as () => KeyObject)()));
  expect(bare.extensions).toEqual([]);
  expect(new X509Certificate(root.certPem).subject).toBe('CN=test root');
});
