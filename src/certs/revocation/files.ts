/** A source of CRLs, read: a file, or what a URL answered; DER or PEM, one CRL or many. */
import { pemBlocks } from '../identity/pem.ts';
import { readBounded } from '../identity/read-file.ts';
import { CodedError } from '../../core/errors.ts';
import { type Crl, readCrl } from '../../core/revocation/crl.ts';

/** The largest public CRLs have 10 MB. */
export const MOST_CRL_BYTES = 20 * 1024 * 1024;

/** Why a source is unusable, in words that continue from its name: `is empty`. */
export class CrlUnusable extends Error {}

/** @throws CrlUnusable */
export async function readCrlFile(file: string): Promise<readonly Crl[]> {
  try {
    const { bytes } = await readBounded(file, MOST_CRL_BYTES);
    return await readCrls(bytes, file);
  } catch (error) {
    if (error instanceof CodedError) throw new CrlUnusable(error.message, { cause: error });
    throw error;
  }
}

/**
 * @param name for messages
 * @throws CrlUnusable
 */
export async function readCrls(bytes: Buffer, name: string): Promise<readonly Crl[]> {
  const ders = bytes[0] === 0x30 ? [bytes] : pemCrls(bytes, name);
  if (ders.length === 0) throw new CrlUnusable(`${name} holds no CRL, neither PEM (X509 CRL) nor DER`);
  const crls: Crl[] = [];
  for (const der of ders) {
    try {
      crls.push(await readCrl(der));
    } catch (error) {
      throw new CrlUnusable(`${name} can't be used: ${(error as Error).message}`, { cause: error });
    }
  }
  return crls;
}

function pemCrls(bytes: Buffer, name: string): Buffer[] {
  try {
    return pemBlocks(bytes.toString('latin1'), name)
      .filter(({ label }) => label === 'X509 CRL')
      .map(({ der }) => der);
  } catch (error) {
    throw new CrlUnusable((error as Error).message, { cause: error });
  }
}
