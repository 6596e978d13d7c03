/** What every case shares: a directory, a PKI made for this run, and the origin. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createPki, type Written } from '../../test/support/pki.ts';
import { type Origin, startOrigin } from './origin.ts';

export interface Lab {
  readonly dir: string;
  /** The origin's CA, which every candidate trusts. */
  readonly root: Authority;
  readonly rootFile: string;
  readonly client: Written & { /** Key and certificate in one file. */ readonly combined: string };
  readonly origin: Origin;
  /** A new directory, which any user may enter: Squid gives up root's rights. */
  folder(name: string): string;
  close(): Promise<void>;
}

export async function openLab(): Promise<Lab> {
  const dir = mkdtempSync(join(tmpdir(), 'mtlsd-bench-'));
  chmodSync(dir, 0o755);
  const pki = await createPki();
  const root = await pki.root({ cn: 'bench root' });
  // Squid 5.7 looks for an address in the common name alone.
  const server = (await root.issue({ cn: '127.0.0.1', sans: ['localhost', '127.0.0.1'] })).write(dir, 'server');
  const issued = await root.issue({ cn: 'bench client', freshKey: true });
  const client = issued.write(dir, 'client');
  const combined = join(dir, 'client-combined.pem');
  writeFileSync(combined, issued.keyPem + issued.certPem);
  // The key is made for this run alone, and Squid reads it as another user.
  for (const file of [client.key, combined]) chmodSync(file, 0o644);
  const rootFile = root.write(dir, 'root').cert;
  const origin = await startOrigin({ dir: join(dir, 'origin'), server, clientCa: rootFile });
  let folders = 0;
  return {
    dir,
    root,
    rootFile,
    client: { ...client, combined },
    origin,
    folder(name) {
      folders += 1;
      const made = join(dir, `${folders}-${name}`);
      mkdirSync(made);
      chmodSync(made, 0o755);
      return made;
    },
    async close() {
      await origin.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
