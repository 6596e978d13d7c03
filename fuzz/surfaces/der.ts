/** Certificates as servers show them and files hold them: all that is read of them, up to the verdict. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { loadIdentity } from '../../src/certs/identity/load.ts';
import { WITHOUT_CRLS } from '../../src/core/revocation/book.ts';
import { certificateParts } from '../../src/core/extensions.ts';
import { certificateFacts } from '../../src/core/facts.ts';
import { judge } from '../../src/inspect/verify/verdict.ts';
import { createPki, KEY_USAGE } from '../../test/support/pki.ts';
import { mutate } from '../mutate.ts';
import { allowing, type Surface } from '../surface.ts';

/** Tags with lengths, and the object identifiers of the extensions that are read. */
const TOKENS = [
  ...['3000', '3080', '3084ffffffff', '0201ff', '0500', 'a003020102', 'a380', '0101ff', '020900ffffffffffffffff'],
  ...['0603551d0e', '0603551d0f', '0603551d11', '0603551d13', '0603551d1e', '0603551d23', '0603551d25'],
  ...[
    '06082b06010505070301',
    '1e0200d8',
    '0c03e2808b',
    '820a2a2e6578616d706c65',
    '87040a000001',
    '170d3235303130313030303030305a',
  ],
].map((hex) => Buffer.from(hex, 'hex'));

export const der: Surface = {
  name: 'der',
  share: 8,
  async open() {
    const pki = await createPki();
    const root = await pki.root({ permittedDns: ['example'], keyUsage: KEY_USAGE.keyCertSign });
    const middle = await root.intermediate({ pathLength: 0 });
    const leaf = await middle.issue({
      subject: [{ C: ['DE'] }, { O: ['Größe'] }, { CN: ['a.example'] }],
      sans: ['a.example', '*.b.example', '192.0.2.1', '2001:db8::1', 'email:a@b.example', 'URI:https://a.example/'],
    });
    const seeds = [root, middle, leaf, await pki.selfSigned({ key: 'rsa2048' })].map(({ x509 }) => x509.raw);
    const key = { bytes: Buffer.from(leaf.keyPem), label: 'fuzz.key' };
    const expectation = {
      mode: 'enforce',
      anchors: [root.x509],
      allow: [],
      pins: [],
      minVersion: 'TLSv1.2',
      revocation: WITHOUT_CRLS,
    } as const;
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      async check(bytes) {
        const cert = { bytes, label: 'fuzz.der' };
        const { identity, problems } = await loadIdentity({ cert, key, pfx: null, alias: null, passphrase: null });
        if (identity === null && problems.length === 0) throw new Error('no identity, and no problem');
        if (identity && !identity.leaf.checkPrivateKey(createPrivateKey(leaf.keyPem)))
          throw new Error('a key that is not the key of its certificate');
        let x509: X509Certificate;
        try {
          x509 = new X509Certificate(bytes);
        } catch {
          return; // OpenSSL refused it: a server can't show it
        }
        certificateFacts(x509);
        allowing([RangeError], () => certificateParts(x509));
        const observed = {
          host: 'a.example',
          protocol: 'TLSv1.3',
          staple: bytes,
          opensslError: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
        };
        const chain = [x509, middle.x509];
        if (judge({ ...observed, chain }, expectation).authorized) throw new Error('authorized what OpenSSL refused');
        judge({ ...observed, chain: [leaf.x509, x509] }, expectation);
      },
    };
  },
};
