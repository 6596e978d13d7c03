import 'reflect-metadata';
import { Extension } from '@peculiar/x509';
/**
 * Every kind of bad chain, made at run time and shown in a real handshake: what OpenSSL says of it is what the verdict is
 * given, and each row holds our list, and what an `allow` of single codes lets through, to it.
 */
import { once } from 'node:events';
import type { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { WITHOUT_CRLS } from '../../../../src/core/revocation/book.ts';
import { loadTrust, secureContextFor } from '../../../../src/certs/trust.ts';
import { certificateFacts } from '../../../../src/core/facts.ts';
import { peerChain } from '../../../../src/tls/peer-chain.ts';
import { type Expectation, judge, type Observed } from '../../../../src/inspect/verify/verdict.ts';
import { type Authorities, BAD_CHAINS, createAuthorities, expired } from '../../../support/bad-chains.ts';
import { type Authority, type Issued, type Pki } from '../../../support/pki.ts';

let authorities: Authorities;
let pki: Pki;
let root: Authority;
let other: Authority;
let intermediate: Authority;

beforeAll(async () => {
  authorities = await createAuthorities();
  ({ pki, root, other, intermediate } = authorities);
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (version) => {
  const rows = BAD_CHAINS.filter(({ onlyTls13 }) => version === 'TLSv1.3' || onlyTls13 !== true);
  test.each(rows)('$name', async ({ make, problems, openssl }) => {
    const { leaf, sent, trust = [root] } = await make(authorities);
    const { anchors, observed } = await shown(leaf, sent, trust, version);
    expect(observed.opensslError).toBe(openssl);

    const strict: Expectation = {
      mode: 'enforce',
      anchors,
      allow: [],
      pins: [],
      minVersion: 'TLSv1.2',
      revocation: WITHOUT_CRLS,
    };
    const verdict = judge(observed, strict);
    const found = verdict.problems.map(({ code, depth }) => `${code}@${depth}`);
    expect(found.sort()).toEqual([...problems].sort());
    expect(verdict.authorized).toBe(problems.length === 0);
    expect(verdict.proceed).toBe(problems.length === 0);
    for (const problem of verdict.problems) {
      expect(problem.message).toMatch(/^[a-zA-Z].*[^.]$/);
      expect(problem.hint).toMatch(/^[a-z].*[^.]$/);
    }

    // Report mode lists everything, and lets it through.
    expect(judge(observed, { ...strict, mode: 'report' })).toEqual({ ...verdict, proceed: true });

    // An allow list lets through just what it names: no one code of several is enough, and all of them are.
    const codes = [...new Set(verdict.problems.map(({ code }) => code))];
    for (const code of codes) {
      const allowed = judge(observed, { ...strict, allow: [code] });
      expect(allowed.proceed, `allow ${code}`).toBe(codes.length === 1);
      expect(new Set(allowed.problems.filter((problem) => problem.allowed).map((problem) => problem.code))).toEqual(
        new Set([code]),
      );
    }
    const allowed = judge(observed, { ...strict, allow: codes });
    expect(allowed).toMatchObject({ proceed: true, accepted: true, authorized: codes.length === 0 });
    expect(new Set(allowed.allowed)).toEqual(new Set(codes));
    // And a code that has nothing to do with it changes nothing.
    expect(judge(observed, { ...strict, allow: ['CERT_REVOKED'] })).toEqual(verdict);
  });
});

/** A handshake on loopback, as the daemon makes it. */
async function shown(leaf: Issued, sent: string, trust: readonly Issued[], version: 'TLSv1.2' | 'TLSv1.3') {
  const server = tls.createServer({
    cert: sent,
    key: leaf.keyPem,
    ciphers: 'DEFAULT:@SECLEVEL=0',
    minVersion: version,
    maxVersion: version,
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const anchors = loadTrust({ system: false, ca: trust.map(({ certPem }) => ({ pem: certPem, file: 'trust.pem' })) });
  const socket = tls.connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    servername: 'localhost',
    secureContext: secureContextFor({ identity: null, trust: anchors, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' }),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  const observed: Observed = {
    chain: peerChain(socket),
    opensslError: socket.authorized ? null : String(socket.authorizationError),
    host: 'localhost',
    protocol: socket.getProtocol() ?? 'none',
    staple: null,
    time: new Date(),
  };
  socket.destroy();
  server.close();
  return { anchors: anchors.certificates, observed };
}

describe('judge', () => {
  const expectation = (more: Partial<Expectation> = {}): Expectation => ({
    mode: 'enforce',
    anchors: [root.x509],
    allow: [],
    pins: [],
    minVersion: 'TLSv1.2',
    revocation: WITHOUT_CRLS,
    ...more,
  });
  const observe = (chain: readonly X509Certificate[], more: Partial<Observed> = {}): Observed => ({
    chain,
    opensslError: null,
    host: 'localhost',
    protocol: 'TLSv1.3',
    staple: null,
    ...more,
  });
  const codesOf = ({ problems }: ReturnType<typeof judge>) => problems.map(({ code }) => code);

  test('says when a certificate expired, how long ago, and what time it is', async () => {
    const leaf = await intermediate.issue({
      notAfter: new Date('2026-01-02T03:04:05Z'),
      notBefore: new Date('2025-01-01T00:00:00Z'),
    });
    const time = new Date('2026-01-05T04:00:00.500Z');
    const observed = observe([leaf.x509, intermediate.x509], { opensslError: 'CERT_HAS_EXPIRED', time });
    const { problems } = judge(observed, expectation({ anchors: [intermediate.x509] }));
    expect(problems[0]).toMatchObject({
      code: 'CERT_HAS_EXPIRED',
      subject: 'CN=localhost',
      message: 'the certificate expired at 2026-01-02T03:04:05Z, 3 days ago; checked at 2026-01-05T04:00:00Z',
    });
  });

  test('says which names the certificate has', async () => {
    const leaf = await root.issue({ cn: 'a.example', sans: ['a.example', '*.b.example', '192.0.2.7'] });
    const { problems } = judge(observe([leaf.x509]), expectation());
    expect(problems).toMatchObject([
      {
        code: 'HOSTNAME_MISMATCH',
        depth: 0,
        message:
          'the certificate is not valid for localhost; it is only valid for DNS:a.example, DNS:*.b.example, IP:192.0.2.7',
      },
    ]);
    expect(judge(observe([leaf.x509], { host: '192.0.2.7' }), expectation()).problems).toEqual([]);
    expect(judge(observe([leaf.x509], { host: 'x.b.example' }), expectation()).problems).toEqual([]);
    expect(codesOf(judge(observe([leaf.x509], { host: '192.0.2.8' }), expectation()))).toEqual(['HOSTNAME_MISMATCH']);
    expect(codesOf(judge(observe([leaf.x509], { host: 'x.y.b.example' }), expectation()))).toEqual([
      'HOSTNAME_MISMATCH',
    ]);
  });

  test("takes Node's word that the name is wrong, under OpenSSL's code", async () => {
    const leaf = await root.issue();
    const verdict = judge(observe([leaf.x509], { opensslError: 'ERR_TLS_CERT_ALTNAME_INVALID' }), expectation());
    expect(codesOf(verdict)).toEqual(['HOSTNAME_MISMATCH']);
    expect(verdict.proceed).toBe(false);
  });

  test('never lets through what OpenSSL refuses, also where we see nothing', async () => {
    const leaf = await root.issue();
    for (const opensslError of ['CERT_REVOKED', 'UNSPECIFIED', 'SOMETHING_NEW', '']) {
      const verdict = judge(observe([leaf.x509], { opensslError }), expectation({ allow: ['CERT_HAS_EXPIRED'] }));
      expect(codesOf(verdict)).toEqual([opensslError]);
      expect(verdict.proceed).toBe(false);
    }
  });

  test('does not let an allow list see past name constraints', async () => {
    const constrained = await root.intermediate({ permittedDns: ['localhost'] });
    const leaf = await constrained.issue(expired);
    const observed = observe([leaf.x509, constrained.x509], { opensslError: 'CERT_HAS_EXPIRED' });
    const verdict = judge(observed, expectation({ allow: ['CERT_HAS_EXPIRED', 'CONSTRAINTS_UNCHECKED'] }));
    expect(codesOf(verdict)).toEqual(['CERT_HAS_EXPIRED', 'CONSTRAINTS_UNCHECKED']);
    expect(verdict.proceed).toBe(false);
    expect(codesOf(judge(observed, expectation()))).toEqual(['CERT_HAS_EXPIRED']);
  });

  test('a lone leaf of an unknown issuer may be allowed by either of its names', async () => {
    const leaf = await other.issue();
    for (const opensslError of ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']) {
      for (const name of ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']) {
        const verdict = judge(observe([leaf.x509], { opensslError }), expectation({ allow: [name] }));
        expect([codesOf(verdict), verdict.proceed]).toEqual([[opensslError], true]);
      }
    }
  });

  test('of several paths the best one counts, as with a cross-signed root', async () => {
    const oldRoot = await pki.root({ cn: 'old root', ...expired });
    const leaf = await root.issue({ ...expired });
    const observed = observe([leaf.x509, root.x509, oldRoot.x509], { opensslError: 'CERT_HAS_EXPIRED' });
    expect(judge(observed, expectation()).problems.map(({ depth }) => depth)).toEqual([0]);
  });

  test('refuses a leaf of the local CA in every mode, with any code allowed', async () => {
    const local = await pki.root({ cn: 'mtlsd local CA' });
    const leaf = await local.issue();
    const every = { refuseIssuedBy: [local.x509], allow: ['LOCAL_CA_LEAF'], anchors: [local.x509] };
    for (const mode of ['enforce', 'report'] as const) {
      for (const chain of [[leaf.x509], [leaf.x509, local.x509], [local.x509]]) {
        const verdict = judge(observe(chain), expectation({ ...every, mode }));
        expect(codesOf(verdict)).toContain('LOCAL_CA_LEAF');
        expect(verdict).toMatchObject({ proceed: false, authorized: false });
      }
    }
    const namesake = await pki.root({ cn: 'mtlsd local CA' });
    const honest = judge(observe([(await namesake.issue()).x509]), expectation({ ...every, anchors: [namesake.x509] }));
    expect(honest.problems).toEqual([]);
  });

  test('refuses a connection without a certificate in every mode', () => {
    for (const mode of ['enforce', 'report'] as const)
      expect(() => judge(observe([]), expectation({ mode }))).toThrow('shows no certificate');
  });

  test('pins any key on the path, and none off it', async () => {
    const leaf = await intermediate.issue();
    const pin = (certificate: X509Certificate) => certificateFacts(certificate).spki256;
    const chain = [leaf.x509, intermediate.x509, other.x509];
    for (const pinned of [leaf, intermediate, root]) {
      expect(judge(observe(chain), expectation({ pins: ['AAAA', pin(pinned.x509)] })).problems).toEqual([]);
    }
    const verdict = judge(observe(chain), expectation({ pins: [pin(other.x509)] }));
    expect(codesOf(verdict)).toEqual(['PIN_MISMATCH']);
    expect(verdict.proceed).toBe(false);
    expect(verdict.problems[0]?.message).toContain(`sha256/${pin(leaf.x509)}`);
  });

  test('a pinned CA that did not sign the chain does not count', async () => {
    const pinned = await pki.root({ cn: 'pinned', noKeyIdentifiers: true });
    const imposter = await pki.root({ cn: 'pinned', noKeyIdentifiers: true });
    const leaf = await imposter.issue({ noKeyIdentifiers: true });
    const observed = observe([leaf.x509, pinned.x509], { opensslError: 'CERT_SIGNATURE_FAILURE' });
    const pins = [certificateFacts(pinned.x509).spki256];
    const verdict = judge(observed, expectation({ pins, anchors: [pinned.x509], allow: ['CERT_SIGNATURE_FAILURE'] }));
    expect(codesOf(verdict)).toEqual(['CERT_SIGNATURE_FAILURE', 'PIN_MISMATCH']);
    expect(verdict.proceed).toBe(false);
  });

  test.each([
    ['TLSv1.2', 'TLSv1.3', false],
    ['TLSv1.3', 'TLSv1.3', true],
    ['TLSv1.1', 'TLSv1.2', false],
    ['TLSv1', 'TLSv1', true],
    ['unknown', 'TLSv1', false],
  ])('%s where the rule asks for %s', async (protocol, minVersion, good) => {
    const leaf = await root.issue();
    expect(codesOf(judge(observe([leaf.x509], { protocol }), expectation({ minVersion })))).toEqual(
      good ? [] : ['TLS_VERSION_TOO_LOW'],
    );
  });

  test('finds weak keys and signatures where OpenSSL overlooks them by setting', async () => {
    const leaf = await root.issue({ key: 'rsa1024', digest: 'SHA-1' });
    expect(codesOf(judge(observe([leaf.x509]), expectation()))).toEqual(['EE_KEY_TOO_SMALL', 'CA_MD_TOO_WEAK']);
  });

  test('a hint ends in a rule for that host and port', async () => {
    const leaf = await other.issue();
    const observed = observe([leaf.x509], {
      opensslError: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      authority: { host: '::1', port: 8443 },
    });
    expect(judge(observed, expectation()).problems[0]?.hint).toMatch(
      /; to let it through: mtlsd verification set --host \[::1\]:8443 --allow UNABLE_TO_VERIFY_LEAF_SIGNATURE$/,
    );
  });

  test('follows a certificate that leads from the old key of a CA to its new one', async () => {
    const old = await pki.root({ cn: 'rolling' });
    const rollover = await old.intermediate({ cn: 'rolling' });
    const leaf = await rollover.issue(expired);
    const observed = observe([leaf.x509, rollover.x509], { opensslError: 'CERT_HAS_EXPIRED' });
    expect(codesOf(judge(observed, expectation({ anchors: [old.x509] })))).toEqual(['CERT_HAS_EXPIRED']);
    const unknown = judge(observed, expectation());
    expect(unknown.problems.map(({ code, depth }) => `${code}@${depth}`)).toEqual([
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY@1',
      'CERT_HAS_EXPIRED@0',
    ]);
  });

  test('a certificate with one extension twice is not looked into further', async () => {
    const twice = await root.intermediate({ doubledBasicConstraints: true });
    const leaf = await twice.issue(expired);
    const observed = observe([leaf.x509, twice.x509], { opensslError: 'CERT_HAS_EXPIRED' });
    expect(codesOf(judge(observed, expectation()))).toContain('INVALID_EXTENSION');
  });

  test.each(['2.5.29.35', '2.5.29.14'])(
    'a damaged key identifier (%s) is a problem, and ends nothing else',
    async (oid) => {
      // A SEQUENCE, or an OCTET STRING, longer than what holds it (found by fuzzing).
      const damaged = new Extension(
        oid,
        false,
        Buffer.from(oid.endsWith('35') ? '3006800a01020304' : '040a0102', 'hex'),
      );
      const middle = await root.intermediate({ noKeyIdentifiers: true, extensions: [damaged] });
      const leaf = await middle.issue({ noKeyIdentifiers: true, extensions: [damaged] });
      const observed = observe([leaf.x509, middle.x509], { opensslError: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' });
      const verdict = judge(observed, expectation());
      expect(verdict.authorized).toBe(false);
      expect(codesOf(verdict)).toContain('INVALID_EXTENSION');
    },
  );

  test('a mesh of cross-signed certificates ends', async () => {
    const names = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6'];
    const mesh: X509Certificate[] = [];
    const roots = await Promise.all(names.map((cn) => pki.root({ cn, noKeyIdentifiers: true })));
    for (const from of roots)
      for (const cn of names) mesh.push((await from.intermediate({ cn, noKeyIdentifiers: true })).x509);
    const leaf = await (roots[0] as Authority).issue({ noKeyIdentifiers: true });
    const started = performance.now();
    const verdict = judge(
      observe([leaf.x509, ...mesh], { opensslError: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' }),
      expectation(),
    );
    expect(verdict.proceed).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
