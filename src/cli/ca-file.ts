/** The local CA's certificate from the home folder; its key is not read. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from './errors.ts';
import type { CaFile } from './trust-stores/trust-store.ts';

export interface ReadCa extends CaFile {
  readonly certificate: X509Certificate;
}

/** @throws CliError where there is none yet */
export async function readCa(home: string): Promise<ReadCa> {
  const path = join(home, 'ca/ca.pem');
  let pem: string;
  try {
    pem = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new CliError(`there is no local CA in ${home} yet`, 'mtlsd start makes it');
    throw new CliError(`${path} can't be read: ${code}`, 'run the command as the user that the daemon runs as');
  }
  const certificate = new X509Certificate(pem);
  return { path, pem, certificate, fingerprint256: certificate.fingerprint256, fingerprint1: certificate.fingerprint };
}
