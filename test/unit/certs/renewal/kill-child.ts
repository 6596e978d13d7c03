/** A process that renews the certificate of a folder repeatedly, and reports each when it is in place. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { loadIdentity } from '../../../../src/certs/identity/load.ts';
import { attemptRenewal } from '../../../../src/certs/renewal/attempt.ts';
import { loadWithNext } from '../../../../src/certs/renewal/replace.ts';
import { loadTrust } from '../../../../src/certs/trust.ts';

const [folder = '', url = '', rootFile = ''] = process.argv.slice(2);
const ca = readFileSync(rootFile, 'utf8');
const files = { cert: join(folder, 'me.crt'), key: join(folder, 'me.key') };
const source = { cert: { path: files.cert }, key: { path: files.key }, pfx: null, alias: null, passphrase: null };
const renew = {
  via: { kind: 'est', url },
  after: 0.5,
  rekey: true,
  trust: loadTrust({ system: false, ca: [{ pem: ca, file: rootFile }] }),
  target: { kind: 'pem', ...files, passphrase: null },
  source,
  folder,
} as const;

for (;;) {
  const { identity } = await loadWithNext(source, loadIdentity);
  if (!identity) throw new Error('it does not load');
  const outcome = await attemptRenewal({
    entry: { name: 'me', host: 'x', etag: 'e', identity, renew },
    connect: ({ host, port }) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host, port, servername: host, ca, cert: identity.certPem, key: identity.keyPem() });
        socket.once('secureConnect', () => resolve(socket)).once('error', reject);
      }),
    pending: null,
    signal: new AbortController().signal,
  });
  if (outcome.is === 'renewed') process.send?.(outcome.after.leaf.fingerprint256);
}
