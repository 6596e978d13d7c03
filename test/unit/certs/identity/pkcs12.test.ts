import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { children } from '../../../../src/core/der.ts';
import { loadIdentity } from '../../../../src/certs/identity/load.ts';
import { decodePkcs12 } from '../../../../src/certs/identity/pkcs12.ts';
import { Secret } from '../../../../src/core/secret.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'mtlsd-pkcs12-'));
let pfx: Buffer;

beforeAll(() => {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'a.key',
    '-out',
    'a.crt',
    '-subj',
    '/CN=a',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
    '-days',
    '9',
  );
  openssl(
    'pkcs12',
    '-export',
    '-in',
    'a.crt',
    '-inkey',
    'a.key',
    '-name',
    'ä name',
    '-passout',
    'pass:x',
    '-out',
    'a.p12',
  );
  pfx = readFileSync(path.join(folder, 'a.p12'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const load = (bytes: Buffer) =>
  loadIdentity({
    cert: null,
    key: null,
    pfx: { bytes, label: 'upload' },
    alias: null,
    passphrase: { text: new Secret('x') },
  });

/** An element as BER with an indefinite length (X.690 §8.1.3.6). */
const indefinite = (tag: number, ...parts: readonly Buffer[]) =>
  Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
const none = Buffer.alloc(0);
const inside = (bytes: Buffer | undefined) => children(bytes ?? none).map(({ raw }) => raw);

test('BER, as browsers and Java once wrote it: indefinite lengths, the content in pieces', async () => {
  const [version, authSafe, mac] = inside(pfx);
  const [type, explicit] = inside(authSafe);
  const octets = children(explicit ?? none)[0]?.value ?? none;
  const pieces: Buffer[] = [];
  for (let at = 0; at < octets.length; at += 100) {
    const piece = octets.subarray(at, at + 100);
    pieces.push(Buffer.of(0x04, piece.length), piece);
  }
  const ber = indefinite(
    0x30,
    version ?? none,
    indefinite(0x30, type ?? none, indefinite(0xa0, indefinite(0x24, ...pieces))),
    mac ?? none,
  );
  const { identity, problems } = await load(ber);
  expect(problems).toEqual([]);
  expect(identity?.facts[0]?.subject).toBe('CN=a');
});

test('friendly names', () => {
  expect(decodePkcs12(pfx, 'x').certificates.map(({ friendlyName }) => friendlyName)).toEqual(['ä name']);
});

describe('damaged at any place, it is diagnosed and never thrown', () => {
  test.each(['cut', 'changed'])('%s', async (how) => {
    const usable: number[] = [];
    const told = new Set<string | undefined>();
    // Every 13th byte: coprime to the lengths inside, so that all kinds of fields are hit.
    for (let at = 0; at < pfx.length; at += 13) {
      const bytes = Buffer.from(how === 'cut' ? pfx.subarray(0, at) : pfx);
      if (how === 'changed') bytes.writeUInt8(bytes.readUInt8(at) ^ 0x15, at);
      const { identity, problems } = await load(bytes);
      if (identity) usable.push(at);
      else told.add(problems[0]?.severity);
    }
    expect(told).toEqual(new Set(['error']));
    // The MAC covers everything but the headers in front of it.
    expect(usable.filter((at) => at > 40)).toEqual([]);
  });
});
