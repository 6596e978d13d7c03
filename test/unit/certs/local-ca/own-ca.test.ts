import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openLocalCa } from '../../../../src/certs/local-ca/local-ca.ts';
import { CA_DIAGNOSES } from '../../../../src/certs/local-ca/own-ca-diagnoses.ts';
import type { CaState, LocalCa, LocalCaOptions } from '../../../../src/certs/local-ca/state.ts';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { MtlsdError } from '../../../../src/core/errors.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { temporaryDirectory } from '../../../support/daemon.ts';
import {
  ago,
  ahead,
  type Authority,
  type CertificateOptions,
  createPki,
  DAY,
  KEY_USAGE,
  type Pki,
} from '../../../support/pki.ts';

let pki: Pki;
let root: Authority;
let home: string;
let opened: LocalCa | null = null;
const at = (name: string): string => path.join(home, name);
const own = { cert: '', key: '' };

beforeAll(async () => {
  pki = await createPki();
  root = await pki.root({ cn: 'corp root' });
});
beforeEach(() => {
  home = temporaryDirectory();
  own.cert = at('own.crt');
  own.key = at('own.key');
});
afterEach(() => {
  opened?.close();
  opened = null;
  rmSync(home, { recursive: true });
});

async function open(options: LocalCaOptions = {}): Promise<CaState> {
  opened = await openLocalCa(at('ca'), { own: { ...own }, ...options });
  return opened.current;
}

async function refusal(options?: LocalCaOptions): Promise<MtlsdError> {
  const error: unknown = await open(options).catch((reason: unknown) => reason);
  if (error instanceof MtlsdError) return error;
  throw new Error('not refused', { cause: error });
}

function put(ca: Authority, ...above: Authority[]): void {
  writeFileSync(own.cert, [ca, ...above].map(({ certPem }) => certPem).join(''));
  writeFileSync(own.key, ca.keyPem, { mode: 0o600 });
}

describe('an intermediate', () => {
  test('signs, is sent with those above it, and the root is what clients trust', async () => {
    const policy = await root.intermediate({ cn: 'policy' });
    const issuing = await policy.intermediate({ cn: 'issuing' });
    put(issuing, root, policy); // in any order
    const { signer, anchors, chain } = await open();
    expect(signer.certificate.subject).toBe('CN=issuing');
    expect(signer.above).toBe(issuing.certPem + policy.certPem);
    expect(anchors.map(({ subject }) => subject)).toEqual(['CN=corp root']);
    expect(chain.map(({ subject }) => subject)).toEqual(['CN=issuing', 'CN=policy', 'CN=corp root']);
    expect(readFileSync(at('ca/ca.pem'), 'utf8')).toBe(root.certPem);
    expect(readFileSync(at('ca/bundle.pem'), 'utf8').endsWith(root.certPem)).toBe(true);
  });

  test('without its root works, and the warning says what to append', async () => {
    const notices: string[] = [];
    put(await root.intermediate({ cn: 'issuing' }));
    const { anchors } = await open({ onNotice: (message) => void notices.push(message) });
    expect(anchors[0].subject).toBe('CN=issuing');
    expect(notices).toEqual([
      expect.stringMatching(/ca\.cert: ROOT_MISSING: .*CN=corp root.*; append the root: cat root\.pem >> /),
    ]);
  });

  test('may be a root of your own, with its key in the same file, encrypted', async () => {
    put(root);
    const args = ['pkcs8', '-topk8', '-in', own.key, '-passout', 'pass:secret'];
    const encrypted = execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
    writeFileSync(own.cert, root.certPem + encrypted);
    chmodSync(own.cert, 0o600);
    const options = { own: { cert: own.cert, key: null }, passphrase: { text: new Secret('secret') } };
    const { signer, anchors } = await open(options);
    expect([signer.above, anchors[0].subject]).toEqual(['', 'CN=corp root']);
  });

  test('limits by its name constraints, and by those above it', async () => {
    const policy = await root.intermediate({
      cn: 'policy',
      permittedDns: ['corp.example'],
      permittedIps: ['10.0.0.1'],
    });
    put(await policy.intermediate({ excludedDns: ['secret.corp.example'] }), policy, root);
    const { reach, signer } = await open();
    const permits = (host: string): boolean => reach.permits(parseAuthority(host, 443));
    for (const host of ['corp.example', 'a.corp.example', '10.0.0.1'])
      expect([host, permits(host)]).toEqual([host, true]);
    for (const host of ['a.secret.corp.example', 'bank.example', '10.0.0.2', 'mtlsd.test'])
      expect([host, permits(host)]).toEqual([host, false]);
    expect(signer.constrains).toBe('hosts');
  });
});

// biome-ignore format: a table reads best as a table
const WRONG: readonly (readonly [what: string, CertificateOptions, CertificateOptions, RegExp])[] = [
  ['is no CA', { ca: false }, {}, /^ca\.cert: NOT_A_CA: CN=issuing is not a CA: basicConstraints has no CA:TRUE$/],
  ['has no basic constraints', { noBasicConstraints: true }, {}, /^ca\.cert: NOT_A_CA: CN=issuing/],
  ['may not sign certificates', { keyUsage: KEY_USAGE.cRLSign }, {}, /^ca\.cert: MAY_NOT_SIGN: the key usage of CN=issuing has no keyCertSign$/],
  ['is below one that may not sign', {}, { keyUsage: KEY_USAGE.digitalSignature }, /^ca\.cert: MAY_NOT_SIGN: the key usage of CN=policy/],
  ['is one CA too many', {}, { pathLength: 0 }, /^ca\.cert: PATH_LENGTH_EXCEEDED: CN=policy allows 0 CAs below itself \(pathlen\), and there are 1$/],
  ['is for clients only', { eku: ['clientAuth'] }, {}, /^ca\.cert: NOT_FOR_SERVERS: CN=issuing may not sign for servers: .* clientAuth, without serverAuth$/],
  ['is below one for clients only', {}, { eku: ['clientAuth'] }, /^ca\.cert: NOT_FOR_SERVERS: CN=policy/],
  ['has a key that can not sign here', { key: 'ed25519' }, {}, /^ca\.cert: KEY_UNSUPPORTED: its key is of type ed25519/],
  ['has a weak key', { key: 'rsa1024' }, {}, /^ca\.\w+: KEY_TOO_WEAK: CN=issuing has a key of RSA 1024/],
  ['has expired', { notBefore: ago(2 * DAY), notAfter: ago(DAY) }, {}, /^ca\.cert: CERTIFICATE_EXPIRED: CN=issuing expired \d{4}-/],
  ['is below one that has expired', {}, { notBefore: ago(2 * DAY), notAfter: ago(DAY) }, /^ca\.cert: CERTIFICATE_EXPIRED: CN=policy/],
  ['is not yet valid', { notBefore: ahead(DAY) }, {}, /^ca\.cert: CERTIFICATE_NOT_YET_VALID: CN=issuing is valid from/],
];

describe('is refused with its diagnosis', () => {
  test.each(WRONG)('one that %s', async (_, options, above, message) => {
    const policy = await root.intermediate({ cn: 'policy', ...above });
    put(await policy.intermediate({ cn: 'issuing', ...options }), policy, root);
    const error = await refusal();
    expect(error.code).toBe('BAD_CONFIGURATION');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(/^(ask your CA|ask the CA|renew it|check this machine's clock)/);
  });

  test('with the key of another', async () => {
    put(await root.intermediate({ cn: 'issuing' }), root);
    writeFileSync(own.key, (await root.intermediate()).keyPem, { mode: 0o600 });
    const error = await refusal();
    expect(error.message).toMatch(/^ca\.key: KEY_MISMATCH: the key in .*own\.key .* is not the key of CN=issuing/);
    expect(error.hint).toMatch(/^compare: openssl x509/);
  });

  test('with a key that every user can read', async () => {
    put(await root.intermediate(), root);
    chmodSync(own.key, 0o644);
    const error = await refusal();
    expect([error.message, error.hint]).toEqual([
      expect.stringMatching(/^ca\.key: FILE_READABLE_BY_EVERYONE: /),
      `chmod 600 ${own.key}`,
    ]);
  });

  test.each<[string, LocalCaOptions['passphrase'], RegExp, RegExp]>([
    [
      'without a passphrase',
      null,
      /^ca\.passphrase: PASSPHRASE_MISSING: the key in .*own\.key is encrypted/,
      /^set ca\.passphrase$/,
    ],
    [
      'with a wrong one',
      { text: new Secret('canary') },
      /^ca\.passphrase: PASSPHRASE_WRONG: .*own\.key$/,
      /^check the passphrase: openssl pkey/,
    ],
    [
      'with one that is not there',
      { env: 'MTLSD_TEST_UNSET' },
      /^ca\.passphrase: PASSPHRASE_UNAVAILABLE: the variable MTLSD_TEST_UNSET/,
      /^start the daemon with/,
    ],
  ])('with an encrypted key, %s', async (_, passphrase, message, hint) => {
    put(await root.intermediate(), root);
    execFileSync('openssl', ['pkcs8', '-topk8', '-in', own.key, '-out', at('new'), '-passout', 'pass:right'], {
      stdio: 'pipe',
    });
    writeFileSync(own.key, readFileSync(at('new')));
    const error = await refusal({ passphrase });
    expect([error.message, error.hint]).toEqual([expect.stringMatching(message), expect.stringMatching(hint)]);
    expect(error.message + error.hint).not.toContain('canary');
  });

  test('where a file is missing, or something else', async () => {
    put(await root.intermediate(), root);
    rmSync(own.key);
    expect((await refusal()).message).toBe(`ca.key: FILE_MISSING: ${own.key} does not exist`);
    writeFileSync(own.cert, 'hello');
    expect((await refusal()).message).toMatch(/^ca\.cert: FORMAT_UNKNOWN: /);
    put(await root.intermediate(), root);
    const pfx = ['pkcs12', '-export', '-in', own.cert, '-inkey', own.key, '-out', at('own.p12'), '-passout', 'pass:'];
    execFileSync('openssl', pfx, { stdio: 'pipe' });
    const error = await refusal({ own: { cert: at('own.p12'), key: null } });
    expect(error.message).toMatch(/^ca\.cert: WRONG_KIND: .*own\.p12 is a PFX/);
    expect(error.hint).toMatch(/^take it apart, then name that: openssl pkcs12 -in /);
    rmSync(own.cert);
    expect((await refusal()).message).toBe(`ca.cert: FILE_MISSING: ${own.cert} does not exist`);
  });

  test('beside one that mtlsd made, which clients may still trust', async () => {
    (await openLocalCa(at('ca'))).close();
    const before = readFileSync(at('ca/ca.pem'), 'utf8');
    put(await root.intermediate(), root);
    const error = await refusal();
    expect(error.message).toContain('holds one that mtlsd made');
    expect(error.hint).toBe(`mtlsd ca uninstall, then: rm ${at('ca/ca.pem')} ${at('ca/ca.key')}`);
    expect(readFileSync(at('ca/ca.pem'), 'utf8')).toBe(before);
  });
});

describe('while it is open', () => {
  test('a renewed one is used, and one that is wrong changes nothing', async () => {
    const changes: string[] = [];
    const notices: string[] = [];
    let wake = (): void => {};
    const next = (): Promise<void> => new Promise((resolve) => (wake = resolve));
    put(await root.intermediate({ cn: 'first' }), root);
    await open({
      onChange: ({ signer }, why) => {
        changes.push(`${why} ${signer.certificate.subject}`);
        wake();
      },
      onNotice: (message) => {
        notices.push(message);
        wake();
      },
    });
    let seen = next();
    put(await root.intermediate({ cn: 'bad', notBefore: ahead(DAY) }), root);
    await seen;
    expect(notices.at(-1)).toMatch(/CERTIFICATE_NOT_YET_VALID|KEY_MISMATCH/);
    expect(notices.at(-1)).toContain('the CA before stays in use; ');
    expect(opened?.current.signer.certificate.subject).toBe('CN=first');
    const other = await pki.root({ cn: 'other root' });
    while (changes.length === 0) {
      seen = next();
      put(await other.intermediate({ cn: 'second' }), other);
      await seen;
    }
    expect(changes).toEqual(['reloaded CN=second']);
    expect(new X509Certificate(readFileSync(at('ca/ca.pem'))).subject).toBe('CN=other root');
  });
});

test('docs/trust.md lists every diagnosis of its own with its severity', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../../../../docs/trust.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (error|warning) \|/gm)].map(([, code, severity]) => [
    code,
    severity,
  ]);
  expect(rows).toEqual(Object.entries(CA_DIAGNOSES));
});
