/** What clients read of the local CA: `ca.pem` for those that add a CA to their own, `bundle.pem` for those that replace theirs. */
import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { nativeCode } from '../../core/errors.ts';
import { writeAtomically } from '../../core/files/atomic-write.ts';
import { loadTrust } from '../trust.ts';

export const pemOf = (certificates: readonly X509Certificate[]): string => certificates.map(String).join('');

/** @returns whether it was another before */
export async function writeIfOther(file: string, text: string): Promise<boolean> {
  if ((await readIfThere(file)) === text) return false;
  return writeAtomically(file, text, { mode: 0o644 });
}

export async function writeBundle(file: string, anchors: readonly X509Certificate[]): Promise<void> {
  // A daemon started inside `mtlsd env` finds its own bundle in SSL_CERT_FILE, and with it the local CA.
  const own = new Set(anchors.map(({ fingerprint256 }) => fingerprint256));
  const system = loadTrust({ system: true, ca: [] }).certificates;
  const others = system.filter(({ fingerprint256 }) => !own.has(fingerprint256));
  await writeIfOther(file, pemOf([...others, ...anchors]));
}

export async function readIfThere(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (nativeCode(error) === 'ENOENT') return null;
    throw error;
  });
}
