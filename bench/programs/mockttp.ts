/** mockttp, the proxy inside HTTP Toolkit, passing everything through with the client certificate. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgramOptions } from '../candidates/node-program.ts';

interface Server {
  start(port: number): Promise<void>;
  forAnyRequest(): { thenPassThrough(options: object): Promise<unknown> };
}
interface Library {
  generateCACertificate(): Promise<{ key: string; cert: string }>;
  getLocal(options: object): Server;
}

const { port, dir, cert, key, ca } = JSON.parse(process.argv[2] ?? '') as ProgramOptions;
const name = 'mockttp';
const { generateCACertificate, getLocal } = (await import(name)) as Library;
const server = getLocal({ https: await generateCACertificate(), recordTraffic: false });
// It takes PKCS#12 alone.
const pfx = join(dir, 'client.p12');
execFileSync('openssl', ['pkcs12', '-export', '-in', cert, '-inkey', key, '-out', pfx, '-passout', 'pass:bench']);
await server.forAnyRequest().thenPassThrough({
  clientCertificateHostMap: { '*': { pfx: readFileSync(pfx), passphrase: 'bench' } },
  trustAdditionalCAs: [{ certPath: ca }],
});
await server.start(port);
