import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { contentOf, type Dropped, groupFiles } from '../../../ui/files/group.ts';
import { type FileKind, kindOf, toPem } from '../../../ui/files/kind.ts';
import { temporaryDirectory } from '../../support/daemon.ts';
import { createPki } from '../../support/pki.ts';

const dir = temporaryDirectory();
const at = (name: string): string => `${dir}/${name}`;
const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });

beforeAll(async () => {
  const root = await (await createPki()).root();
  (await root.issue({ cn: 'alice' })).write(dir, 'alice');
  (await root.issue({ cn: 'rsa', key: 'rsa2048' })).write(dir, 'rsa');
  const key = ['-in', at('alice.key')];
  openssl('x509', '-in', at('alice.crt'), '-outform', 'DER', '-out', at('alice.der'));
  openssl('pkcs8', ...key, '-topk8', '-nocrypt', '-outform', 'DER', '-out', at('pkcs8.der'));
  openssl('pkcs8', ...key, '-topk8', '-passout', 'pass:x', '-out', at('encrypted.pem'));
  openssl('pkcs8', ...key, '-topk8', '-passout', 'pass:x', '-outform', 'DER', '-out', at('encrypted.der'));
  openssl('ec', ...key, '-outform', 'DER', '-out', at('sec1.der'));
  openssl('ec', ...key, '-aes256', '-passout', 'pass:x', '-out', at('legacy.pem'));
  openssl('rsa', '-in', at('rsa.key'), '-traditional', '-outform', 'DER', '-out', at('pkcs1.der'));
  openssl(
    'pkcs12',
    '-export',
    '-in',
    at('alice.crt'),
    '-inkey',
    at('alice.key'),
    '-out',
    at('alice.p12'),
    '-passout',
    'pass:x',
  );
});

const read = (name: string): Uint8Array => new Uint8Array(readFileSync(at(name)));

describe('the kind of a file is told by its content', () => {
  test.each<[string, FileKind]>([
    ['alice.crt', 'certificate'],
    ['alice.der', 'certificate'],
    ['alice.key', 'key'],
    ['pkcs8.der', 'key'],
    ['sec1.der', 'key'],
    ['pkcs1.der', 'key'],
    ['encrypted.pem', 'encrypted-key'],
    ['encrypted.der', 'encrypted-key'],
    ['legacy.pem', 'encrypted-key'],
    ['alice.p12', 'pfx'],
  ])('%s is %s', (name, kind) => {
    expect(kindOf(read(name))).toBe(kind);
  });

  test('a certificate with its key in one file, locked or not', () => {
    const certificate = readFileSync(at('alice.crt'), 'utf8');
    const both = (key: string) => kindOf(new TextEncoder().encode(certificate + readFileSync(at(key), 'utf8')));
    expect(both('alice.key')).toBe('certificate-and-key');
    expect(both('encrypted.pem')).toBe('certificate-and-encrypted-key');
  });

  test('anything else, cut at every byte, is unknown or what it began as, and never an error', () => {
    for (const text of ['', '0', 'hello', '-----BEGIN NOTHING-----', '0\u0000'])
      expect(kindOf(new TextEncoder().encode(text))).toBe('unknown');
    const whole = read('alice.p12');
    for (let length = 0; length < 64; length++) expect(['pfx', 'unknown']).toContain(kindOf(whole.subarray(0, length)));
  });

  test('DER is handed on as PEM that OpenSSL reads', () => {
    expect(new X509Certificate(toPem(read('alice.der'), 'certificate')).subject).toBe('CN=alice');
    for (const name of ['pkcs8.der', 'sec1.der', 'pkcs1.der'])
      execFileSync('openssl', ['pkey', '-noout'], { input: toPem(read(name), 'key'), stdio: ['pipe', 'pipe', 'pipe'] });
  });
});

describe('files that belong together', () => {
  const file = (name: string, kind: FileKind): Dropped => ({ name, kind, bytes: new Uint8Array() });
  const names = async (files: Dropped[], goesWith: (a: Dropped, b: Dropped) => boolean = () => false) => {
    const { groups, left } = await groupFiles(files, (a, b) => Promise.resolve(goesWith(a, b)));
    return {
      groups: groups.map(({ main, key }) => [main.name, key?.name ?? null]),
      left: left.map(({ name }) => name),
    };
  };

  test('by name, whatever the endings', async () => {
    const files = [
      file('b.key', 'key'),
      file('alice-cert.pem', 'certificate'),
      file('b.fullchain.pem', 'certificate'),
      file('ALICE.key.pem', 'encrypted-key'),
    ];
    expect(await names(files)).toEqual({
      groups: [
        ['alice-cert.pem', 'ALICE.key.pem'],
        ['b.fullchain.pem', 'b.key'],
      ],
      left: [],
    });
  });

  test('one certificate and one key, whatever their names', async () => {
    expect(await names([file('x', 'certificate'), file('y', 'key')])).toEqual({ groups: [['x', 'y']], left: [] });
  });

  test('the rest by trying', async () => {
    const files = [file('a', 'certificate'), file('b', 'certificate'), file('k1', 'key'), file('k2', 'key')];
    const pairs = await names(files, (a, b) => `${a.name}${b.name}` === 'ak2' || `${a.name}${b.name}` === 'bk1');
    expect(pairs).toEqual({
      groups: [
        ['a', 'k2'],
        ['b', 'k1'],
      ],
      left: [],
    });
  });

  test('what holds its own key stands alone, and what is left is named', async () => {
    const files = [
      file('one.p12', 'pfx'),
      file('two.pem', 'certificate-and-key'),
      file('lost.crt', 'certificate'),
      file('readme', 'unknown'),
    ];
    expect(await names(files)).toEqual({
      groups: [
        ['one.p12', null],
        ['two.pem', null],
      ],
      left: ['readme', 'lost.crt'],
    });
  });

  test('as the API takes them', () => {
    const main = { name: 'a', kind: 'pfx', bytes: new Uint8Array([1, 2, 3]) } as const;
    expect(contentOf({ main, key: null })).toEqual({ pfx_base64: 'AQID' });
  });
});
