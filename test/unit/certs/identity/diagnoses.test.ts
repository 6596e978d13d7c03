/** Every diagnosis is provoked here once; `docs/formats.md` lists the same codes. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { children } from '../../../../src/core/der.ts';
import { DIAGNOSES, type DiagnosisCode } from '../../../../src/certs/identity/diagnosis.ts';
import type { Diagnosis } from '../../../../src/certs/identity/identity.ts';
import { loadIdentity } from '../../../../src/certs/identity/load.ts';
import { dateProblems } from '../../../../src/certs/identity/chain.ts';
import type { PassphraseSource } from '../../../../src/certs/identity/passphrase.ts';
import { Secret } from '../../../../src/core/secret.ts';
import { createPki, DAY, ago, ahead, type Authority } from '../../../support/pki.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mtlsd-diagnoses-'));
const canary = 'canary-passphrase-4711';
let root: Authority;
let intermediate: Authority;

const at = (name: string) => path.join(folder, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
const put = (name: string, content: string | Buffer, mode = 0o600) => {
  writeFileSync(at(name), content, { mode });
  chmodSync(at(name), mode);
  return name;
};

beforeAll(async () => {
  const pki = await createPki();
  root = await pki.root({ cn: 'Root' });
  intermediate = await root.intermediate({ cn: 'Intermediate' });
  const leaf = await intermediate.issue({ cn: 'client', eku: ['clientAuth'] });
  const other = await intermediate.issue({ cn: 'other', eku: ['clientAuth'], freshKey: true });
  put('leaf.crt', leaf.certPem);
  put('leaf.key', leaf.keyPem);
  put('chain.crt', leaf.chainPem);
  put('other.crt', other.certPem);
  put('other.key', other.keyPem);
  put('root.crt', root.certPem);
  put('root.key', root.keyPem);
  openssl('pkcs8', '-topk8', '-in', 'leaf.key', '-passout', `pass:${canary}`, '-out', 'encrypted.key');
  openssl(
    'pkcs12',
    '-export',
    '-in',
    'chain.crt',
    '-inkey',
    'leaf.key',
    '-passout',
    `pass:${canary}`,
    '-out',
    'leaf.p12',
  );
  for (const name of ['encrypted.key', 'leaf.p12']) chmodSync(at(name), 0o600);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Files {
  readonly cert?: string;
  readonly key?: string;
  readonly pfx?: string;
  readonly alias?: string;
  readonly passphrase?: string | PassphraseSource;
}

async function diagnose({ cert, key, pfx, alias, passphrase }: Files): Promise<readonly Diagnosis[]> {
  const file = (name: string | undefined) => (name === undefined ? null : { path: at(name) });
  const source = typeof passphrase === 'string' ? { text: new Secret(passphrase) } : (passphrase ?? null);
  const loaded = await loadIdentity({
    cert: file(cert),
    key: file(key),
    pfx: file(pfx),
    alias: alias ?? null,
    passphrase: source,
  });
  const unusable = loaded.problems.some(({ severity }) => severity === 'error');
  expect(loaded.identity === null).toBe(unusable);
  return loaded.identity ? [...loaded.problems, ...dateProblems(loaded.identity.leaf, loaded.file)] : loaded.problems;
}

const leaf = { cert: 'leaf.crt', key: 'leaf.key' };

/**
 * What provokes each. Those of renewals and of material are the store's own: reload, material and renewal/target.test.ts; those of
 * revocation are in own-revocation.test.ts.
 */
const provoke: Record<
  Exclude<DiagnosisCode, `RENEWAL_${string}` | `MATERIAL_${string}` | 'CERTIFICATE_REVOKED' | 'REVOCATION_UNKNOWN'>,
  readonly [how: string, files: () => Promise<Files> | Files][]
> = {
  FILE_MISSING: [
    ['no such file', () => ({ ...leaf, key: 'nowhere.key' })],
    ['a folder that is a file', () => ({ cert: 'leaf.crt/x' })],
  ],
  FILE_UNREADABLE: [
    [
      'a folder',
      () => {
        mkdirSync(at('folder'), { recursive: true });
        return { cert: 'folder' };
      },
    ],
    [
      'a FIFO, without waiting for its writer',
      () => {
        execFileSync('mkfifo', [at('fifo')]);
        return { cert: 'fifo' };
      },
    ],
  ],
  FILE_EMPTY: [
    ['no bytes', () => ({ ...leaf, key: put('empty', '') })],
    ['white space', () => ({ cert: put('blank', ' \n\n') })],
  ],
  FILE_TOO_LARGE: [
    [
      '2 MiB',
      () => {
        truncateSync(at(put('large', 'x')), 2 * 1024 * 1024);
        return { cert: 'large' };
      },
    ],
  ],
  FILE_TRUNCATED: [
    [
      'PEM without its END',
      () => ({ ...leaf, cert: put('cut.crt', readFileSync(at('leaf.crt'), 'latin1').slice(0, 300)) }),
    ],
    [
      'PEM with its END and half of its middle',
      () => ({
        ...leaf,
        cert: put('hole.crt', readFileSync(at('leaf.crt'), 'latin1').replace(/\n[A-Za-z0-9+/=\n]{100}/, '\n')),
      }),
    ],
    [
      'DER',
      () => {
        openssl('x509', '-in', 'leaf.crt', '-outform', 'DER', '-out', 'whole.cer');
        return { ...leaf, cert: put('cut.cer', readFileSync(at('whole.cer')).subarray(0, 200)) };
      },
    ],
    ['PFX', () => ({ pfx: put('cut.p12', readFileSync(at('leaf.p12')).subarray(0, 500)), passphrase: canary })],
  ],
  FORMAT_UNKNOWN: [
    ['text', () => ({ cert: put('text', '<html>login</html>') })],
    [
      'base64 without BEGIN',
      () => ({ cert: put('base64', readFileSync(at('leaf.crt'), 'latin1').replace(/-----[^-]+-----\n/g, '')) }),
    ],
    [
      'PEM that is not base64',
      () => ({ cert: put('not64', '-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n') }),
    ],
    ['a PEM block of no use', () => ({ cert: put('crl', '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n') })],
  ],
  WRONG_KIND: [
    ['a PFX under cert', () => ({ cert: 'leaf.p12' })],
    ['PEM under pfx', () => ({ pfx: 'leaf.crt' })],
    [
      'a request',
      () => {
        openssl('req', '-new', '-key', 'leaf.key', '-subj', '/CN=x', '-out', 'leaf.csr');
        return { ...leaf, cert: 'leaf.csr' };
      },
    ],
    [
      'a public key',
      () => {
        openssl('pkey', '-in', 'leaf.key', '-pubout', '-out', 'leaf.pub');
        return { ...leaf, key: 'leaf.pub' };
      },
    ],
    [
      'an X25519 key',
      () => {
        openssl('genpkey', '-algorithm', 'X25519', '-out', 'x25519.key');
        return { ...leaf, key: 'x25519.key' };
      },
    ],
  ],
  JAVA_KEYSTORE: [['its first bytes', () => ({ pfx: put('jks', Buffer.from('feedfeed00000002', 'hex')) })]],
  OPENSSH_KEY: [
    [
      'its BEGIN line',
      () => ({
        ...leaf,
        key: put('id', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n'),
      }),
    ],
  ],
  PUTTY_KEY: [['its first line', () => ({ ...leaf, key: put('ppk', 'PuTTY-User-Key-File-2: ssh-rsa\n') })]],
  PKCS7_FILE: [
    [
      'PEM',
      () => {
        openssl('crl2pkcs7', '-nocrl', '-certfile', 'leaf.crt', '-out', 'leaf.p7b');
        return { ...leaf, cert: 'leaf.p7b' };
      },
    ],
  ],
  CERTIFICATE_MISSING: [
    ['a key under cert', () => ({ cert: 'leaf.key', key: 'leaf.key' })],
    [
      'a PFX of a key alone',
      () => {
        openssl('pkcs12', '-export', '-nocerts', '-inkey', 'leaf.key', '-passout', 'pass:x', '-out', 'nocert.p12');
        chmodSync(at('nocert.p12'), 0o600);
        return { pfx: 'nocert.p12', passphrase: 'x' };
      },
    ],
  ],
  CERTIFICATE_INVALID: [
    [
      'well-formed DER that is none',
      () => ({
        ...leaf,
        cert: put('odd.crt', '-----BEGIN CERTIFICATE-----\nMAYwBKADAgEC\n-----END CERTIFICATE-----\n'),
      }),
    ],
  ],
  KEY_MISSING: [
    ['no key anywhere', () => ({ cert: 'leaf.crt' })],
    ['a certificate under key', () => ({ cert: 'leaf.crt', key: 'leaf.crt' })],
    [
      'a PFX of certificates alone',
      () => {
        openssl('pkcs12', '-export', '-nokeys', '-in', 'leaf.crt', '-passout', 'pass:x', '-out', 'nokey.p12');
        chmodSync(at('nokey.p12'), 0o600);
        return { pfx: 'nokey.p12', passphrase: 'x' };
      },
    ],
  ],
  KEY_INVALID: [
    [
      'PKCS#8 with rubbish inside',
      () => ({
        ...leaf,
        key: put(
          'odd.key',
          `-----BEGIN PRIVATE KEY-----\n${Buffer.from('300c020100300506032b6570040101', 'hex').toString('base64')}\n-----END PRIVATE KEY-----\n`,
        ),
      }),
    ],
  ],
  KEY_MISMATCH: [['the key of another', () => ({ cert: 'leaf.crt', key: 'other.key' })]],
  KEY_TOO_WEAK: [
    [
      'RSA 1024',
      async () => {
        const weak = await intermediate.issue({ cn: 'weak', key: 'rsa1024', eku: ['clientAuth'] });
        return { cert: put('weak.crt', weak.certPem), key: put('weak.key', weak.keyPem) };
      },
    ],
  ],
  ALIAS_UNKNOWN: [['a name that is not there', () => ({ pfx: 'leaf.p12', alias: 'nobody', passphrase: canary })]],
  PFX_INVALID: [
    [
      'a PFX with another inside',
      () => ({
        pfx: put('odd.p12', Buffer.from('301d020103301806092a864886f70d010701a00b0409300706052a03040506', 'hex')),
      }),
    ],
  ],
  PASSPHRASE_MISSING: [
    ['an encrypted key', () => ({ ...leaf, key: 'encrypted.key' })],
    ['a PFX', () => ({ pfx: 'leaf.p12' })],
  ],
  PASSPHRASE_WRONG: [
    ['a key', () => ({ ...leaf, key: 'encrypted.key', passphrase: 'x' })],
    ['a PFX', () => ({ pfx: 'leaf.p12', passphrase: 'x' })],
  ],
  PASSPHRASE_UNAVAILABLE: [
    ['a variable that is not set', () => ({ ...leaf, key: 'encrypted.key', passphrase: { env: 'MTLSD_TEST_UNSET' } })],
    ['a file that is not there', () => ({ ...leaf, key: 'encrypted.key', passphrase: { file: at('nowhere') } })],
    [
      'a command that fails',
      () => ({
        ...leaf,
        key: 'encrypted.key',
        passphrase: { command: ['sh', '-c', `echo ${canary}; echo ${canary} >&2; exit 3`], cwd: folder },
      }),
    ],
  ],
  ENCRYPTION_UNSUPPORTED: [
    [
      'RC4',
      () => {
        openssl(
          'pkcs12',
          '-export',
          '-legacy',
          '-provider',
          'legacy',
          '-provider',
          'default',
          '-keypbe',
          'PBE-SHA1-RC4-128',
          '-certpbe',
          'PBE-SHA1-RC4-128',
          '-in',
          'leaf.crt',
          '-inkey',
          'leaf.key',
          '-passout',
          'pass:x',
          '-out',
          'rc4.p12',
        );
        chmodSync(at('rc4.p12'), 0o600);
        return { pfx: 'rc4.p12', passphrase: 'x' };
      },
    ],
  ],
  DECRYPTION_TOO_COSTLY: [
    [
      'a thousand million rounds',
      () => ({ pfx: put('bomb.p12', roundsOf(readFileSync(at('leaf.p12')))), passphrase: canary }),
    ],
  ],
  CERTIFICATE_EXPIRED: [
    [
      'yesterday',
      async () => {
        const old = await root.issue({ cn: 'old', notBefore: ago(9 * DAY), notAfter: ago(DAY), eku: ['clientAuth'] });
        return { cert: put('old.crt', old.certPem), key: put('old.key', old.keyPem) };
      },
    ],
  ],
  CERTIFICATE_NOT_YET_VALID: [
    [
      'tomorrow',
      async () => {
        const young = await root.issue({
          cn: 'young',
          notBefore: ahead(DAY),
          notAfter: ahead(9 * DAY),
          eku: ['clientAuth'],
        });
        return { cert: put('young.crt', young.certPem), key: put('young.key', young.keyPem) };
      },
    ],
  ],
  NOT_CLIENT_CERTIFICATE: [
    [
      'serverAuth alone',
      async () => {
        const server = await root.issue({ cn: 'server', eku: ['serverAuth'] });
        return { cert: put('server.crt', server.certPem), key: put('server.key', server.keyPem) };
      },
    ],
  ],
  CA_CERTIFICATE: [
    ['a self-signed CA', () => ({ cert: 'root.crt', key: 'root.key' })],
    ['the CA itself', () => ({ cert: put('ca.crt', intermediate.certPem), key: put('ca.key', intermediate.keyPem) })],
  ],
  INTERMEDIATE_MISSING: [
    ['the leaf of an intermediate alone', () => leaf],
    [
      'the leaf and the root',
      () => ({ ...leaf, cert: put('gap.crt', readFileSync(at('leaf.crt'), 'latin1') + root.certPem) }),
    ],
  ],
  CHAIN_OUT_OF_ORDER: [
    [
      'the issuer first',
      () => ({ ...leaf, cert: put('order.crt', intermediate.certPem + readFileSync(at('leaf.crt'), 'latin1')) }),
    ],
  ],
  UNRELATED_CERTIFICATE: [
    [
      'another leaf',
      () => ({
        ...leaf,
        cert: put('extra.crt', readFileSync(at('chain.crt'), 'latin1') + readFileSync(at('other.crt'), 'latin1')),
      }),
    ],
  ],
  SEVERAL_KEYS: [['two PFX made one', () => ({ pfx: put('two.p12', mergedPfx(['leaf', 'other'])) })]],
  WEAK_SIGNATURE: [
    [
      'SHA-1',
      async () => {
        const sha1 = await root.issue({ cn: 'sha1', digest: 'SHA-1', key: 'rsa2048', eku: ['clientAuth'] });
        return { cert: put('sha1.crt', sha1.certPem), key: put('sha1.key', sha1.keyPem) };
      },
    ],
  ],
  FILE_READABLE_BY_EVERYONE: [
    ['a key of mode 0644', () => ({ ...leaf, key: put('open.key', readFileSync(at('leaf.key')), 0o644) })],
  ],
  PASSPHRASE_UNNEEDED: [['a key that is not encrypted', () => ({ ...leaf, passphrase: canary })]],
};

test('an intermediate is not missing where it is a root that is known here', async () => {
  const source = {
    cert: { path: at('leaf.crt') },
    key: { path: at('leaf.key') },
    pfx: null,
    alias: null,
    passphrase: null,
  };
  expect((await loadIdentity(source, { certificates: [root.x509, intermediate.x509] })).problems).toEqual([]);
  expect((await loadIdentity(source, { certificates: [root.x509] })).problems).toMatchObject([
    {
      code: 'INTERMEDIATE_MISSING',
      severity: 'warning',
      hint: `unless the server has it, append it to the file: cat intermediate.pem >> ${at('leaf.crt')}`,
    },
  ]);
});

/** The same PFX with the count of its MAC's rounds made a thousand million: the last INTEGER of the file. */
function roundsOf(pfx: Buffer): Buffer {
  const grown = Buffer.concat([
    pfx.subarray(0, pfx.lastIndexOf(Buffer.from('02020800', 'hex'))),
    Buffer.from('02043b9aca00', 'hex'),
  ]);
  // Both SEQUENCEs around it grow by two bytes; the outer one has a two-byte length.
  grown.writeUInt16BE(grown.readUInt16BE(2) + 2, 2);
  const mac = grown.lastIndexOf(Buffer.from('3041', 'hex'));
  grown.writeUInt8(grown.readUInt8(mac + 1) + 2, mac + 1);
  return grown;
}

/** One PFX with the keys and certificates of several, without encryption or MAC. */
function mergedPfx(names: readonly string[]): Buffer {
  const contents = names.map((name) => {
    openssl(
      'pkcs12',
      '-export',
      '-keypbe',
      'NONE',
      '-certpbe',
      'NONE',
      '-nomac',
      '-in',
      `${name}.crt`,
      '-inkey',
      `${name}.key`,
      '-passout',
      'pass:',
      '-out',
      'part.p12',
    );
    // PFX { version, ContentInfo { type, [0] { OCTET STRING { SEQUENCE { ContentInfo… } } } } }, RFC 7292 §4.
    const none = Buffer.alloc(0);
    const safe = [1, 1, 0].reduce<Buffer>(
      (raw, child) => children(raw)[child]?.raw ?? none,
      readFileSync(at('part.p12')),
    );
    return children(safe)[0]?.value ?? none;
  });
  const data = der(0x06, Buffer.from('2a864886f70d010701', 'hex'));
  const safe = der(0x30, ...contents);
  return der(0x30, der(0x02, Buffer.of(3)), der(0x30, data, der(0xa0, der(0x04, safe))));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const length = Buffer.of(0x82, content.length >> 8, content.length & 0xff);
  return Buffer.concat([Buffer.of(tag), content.length < 128 ? Buffer.of(content.length) : length, content]);
}

describe.each(Object.entries(provoke))('%s', (code, ways) => {
  test.each(ways.map(([how, files]) => ({ how, files })))('$how', async ({ files }) => {
    const problems = await diagnose(await files());
    const problem = problems.find((problem) => problem.code === code);
    expect(problems.map((problem) => problem.code)).toContain(code);
    expect(problem?.severity).toBe(DIAGNOSES[code as DiagnosisCode]);
    // One sentence with the data, lower case, no full stop; then what to do.
    expect(problem?.message).toMatch(/[^.]$/);
    expect(problem?.hint).toMatch(/[^.]$/);
    expect(JSON.stringify(problems)).not.toContain(canary);
  });
});

test('nothing is wrong with a chain as it is handed out', async () => {
  expect(await diagnose({ cert: 'chain.crt', key: 'leaf.key' })).toEqual([]);
  expect(await diagnose({ cert: 'chain.crt', key: 'encrypted.key', passphrase: canary })).toEqual([]);
  expect(await diagnose({ pfx: 'leaf.p12', passphrase: canary })).toEqual([]);
});
