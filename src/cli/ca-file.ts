/** The local CA's certificates from the home folder; its key is not read. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CliError } from './errors.ts';
import { type CaFile, storeName } from './trust-stores/trust-store.ts';

export interface ReadCa extends CaFile {
  readonly certificate: X509Certificate;
}

export interface ReadCas {
  /** `ca.pem`: what clients have to trust. */
  readonly path: string;
  readonly pem: string;
  readonly current: ReadCa;
  /** The new one of a rotation. */
  readonly next: ReadCa | null;
  /** What earlier rotations replaced. */
  readonly previous: readonly ReadCa[];
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g;

/** @throws CliError where there is none yet */
export async function readCas(home: string): Promise<ReadCas> {
  const path = join(home, 'ca/ca.pem');
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CliError(`there is no local CA in ${home} yet`, 'mtlsd start makes it');
    throw new CliError(`${path} can't be read: ${error.code}`, 'run the command as the user that the daemon runs as');
  });
  const earlier = join(home, 'ca/previous.pem');
  const trusted = certificatesIn(pem, path);
  const [current, next] = trusted;
  // A take-over that did not come to its end has written the present one there.
  const previous = certificatesIn(await readFile(earlier, 'utf8').catch(() => ''), earlier).filter(
    ({ fingerprint256 }) => !trusted.some((each) => each.fingerprint256 === fingerprint256),
  );
  if (!current) throw new CliError(`${path} holds no certificate`, `remove ${dirname(path)}, and start the daemon`);
  if (!next) return { path, pem, current, next: null, previous };
  return { path, pem, current: await apart(current, home), next: await apart(next, home), previous };
}

function certificatesIn(pem: string, path: string): ReadCa[] {
  return (pem.match(BLOCK) ?? []).map((pem) => {
    const certificate = new X509Certificate(pem);
    const { fingerprint256, fingerprint: fingerprint1 } = certificate;
    return { path, pem, certificate, fingerprint256, fingerprint1 };
  });
}

/** In a file of its own: tools of trust stores take the first certificate of a file. */
async function apart(ca: ReadCa, home: string): Promise<ReadCa> {
  const path = join(home, 'clients', `${storeName(ca)}.pem`);
  if ((await readFile(path, 'utf8').catch(() => null)) !== ca.pem) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, ca.pem);
  }
  return { ...ca, path };
}
