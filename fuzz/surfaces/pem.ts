/** Files of client certificates as people have them: PEM in all its spellings, to an identity or to what is wrong. */
import { createPrivateKey } from 'node:crypto';
import { loadIdentity } from '../../src/certs/identity/load.ts';
import { createPki } from '../../test/support/pki.ts';
import { mutate } from '../mutate.ts';
import type { Surface } from '../surface.ts';

const TOKENS = [
  '-----BEGIN ',
  '-----END ',
  '-----',
  'CERTIFICATE-----\n',
  'TRUSTED CERTIFICATE-----\n',
  'PRIVATE KEY-----\n',
  'ENCRYPTED PRIVATE KEY-----\n',
  'RSA PRIVATE KEY-----\n',
  'EC PARAMETERS-----\n',
  'PKCS7-----\n',
  'Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n',
  'Bag Attributes\n',
  '\r\n',
  '\n\n',
  '=',
  'MII',
  '\ufeff',
].map((text) => Buffer.from(text));

export const pem: Surface = {
  name: 'pem',
  share: 8,
  async open() {
    const pki = await createPki();
    const leaf = await (await (await pki.root()).intermediate()).issue({ eku: ['clientAuth'] });
    const rsa = await pki.selfSigned({ key: 'rsa2048' });
    const key = createPrivateKey(leaf.keyPem);
    const traditional = key.export({ type: 'sec1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString();
    const encrypted = key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString();
    const seeds = [
      leaf.chainPem + leaf.keyPem,
      leaf.keyPem + leaf.certPem,
      rsa.certPem + createPrivateKey(rsa.keyPem).export({ type: 'pkcs1', format: 'pem' }).toString(),
      leaf.certPem + traditional,
      leaf.certPem + encrypted,
    ].map((text) => Buffer.from(text));
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      async check(bytes) {
        const cert = { bytes, label: 'fuzz.pem' };
        const { identity, problems } = await loadIdentity({
          cert,
          key: null,
          pfx: null,
          alias: null,
          passphrase: null,
        });
        if (identity === null && problems.length === 0) throw new Error('no identity, and no problem');
        if (identity && !identity.leaf.checkPrivateKey(createPrivateKey(identity.keyPem())))
          throw new Error('a key that is not the key of its certificate');
      },
    };
  },
};
