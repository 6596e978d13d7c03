/** PFX files: those with a MAC hardly get past it when they are changed, so some seeds have none, and one no encryption either. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodePkcs12 } from '../../src/certs/identity/pkcs12.ts';
import { CodedError } from '../../src/core/errors.ts';
import { createPki } from '../../test/support/pki.ts';
import { mutate } from '../mutate.ts';
import { allowing, type Surface } from '../surface.ts';

const PASSPHRASE = 'secret';

/** Tags with lengths, and the object identifiers of bags, ciphers and derivations. */
const TOKENS = [
  ...[
    '3080',
    '3000',
    '24800000',
    '0480',
    '0500',
    '0000',
    'a000',
    'a080',
    '020400ffffff',
    '02047fffffff',
    '020100',
    '0201ff',
  ],
  ...['06092a864886f70d010701', '06092a864886f70d010706', '060b2a864886f70d010c0a0101', '060b2a864886f70d010c0a0102'],
  ...[
    '060b2a864886f70d010c0a0103',
    '060b2a864886f70d010c0a0106',
    '060a2a864886f70d010c0103',
    '060a2a864886f70d010c0106',
  ],
  ...['06092a864886f70d01050d', '06092a864886f70d01050c', '0609608648016503040201', '06052b0e03021a'],
].map((hex) => Buffer.from(hex, 'hex'));

export const pfx: Surface = {
  name: 'pfx',
  share: 8,
  async open() {
    const dir = mkdtempSync(join(tmpdir(), 'mtlsd-fuzz-'));
    const leaf = await (await (await createPki()).root()).issue({ eku: ['clientAuth'] });
    const { cert, key } = leaf.write(dir);
    const made = (name: string, ...options: string[]): Buffer => {
      const file = join(dir, `${name}.pfx`);
      const args = ['-export', '-in', cert, '-inkey', key, '-out', file, '-passout', `pass:${PASSPHRASE}`];
      execFileSync('openssl', ['pkcs12', ...args, '-name', 'Größe', '-iter', '1', '-maciter', ...options]);
      return readFileSync(file);
    };
    const seeds = [
      made('plain', '-nomac', '-keypbe', 'NONE', '-certpbe', 'NONE'),
      made('aes', '-nomac'),
      made('3des', '-nomac', '-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES'),
      made('mac'),
    ];
    rmSync(dir, { recursive: true });
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      check: (bytes) => void allowing([CodedError], () => decodePkcs12(bytes, PASSPHRASE)),
    };
  },
};
