/** Saves the CA of a server to a file, so that a user who expects it can trust it. */
import { readFile, writeFile } from 'node:fs/promises';
import type { ProbeAnswer } from '../admin/schemas/probe.ts';
import { nativeCode } from '../core/errors.ts';
import { CliError } from './errors.ts';
import { factsText } from './words/entry.ts';

/**
 * The highest CA that the server sends, or its own self-signed certificate.
 * @returns the text to print
 * @throws CliError where it sends none, or the file can't be written
 */
export async function saveCaOf({ authority, error, server }: ProbeAnswer, file: string): Promise<string> {
  if (error !== null) throw new CliError(`${authority} can't be reached: ${error}`, 'check the host and the port');
  const index = server.sent.findLastIndex(({ ca, self_signed }) => ca || self_signed);
  const [facts, pem] = [server.sent[index], server.pem[index]];
  if (!facts || pem === undefined)
    throw new CliError(
      `${authority} sends no CA certificate; the issuer of its own is ${server.sent.at(-1)?.issuer ?? 'unknown'}`,
      `get that certificate from the server's operator, then: mtlsd trust add FILE --host ${authority.replace(/:443$/, '')}`,
    );
  await write(file, pem);
  const warning = 'compare the fingerprint with the one that its operator gives you, not with this connection';
  return `${factsText(facts, null)}\nsaved to ${file}\nnext: ${warning}; then: mtlsd trust add ${file} --host ${authority.replace(/:443$/, '')}\n`;
}

async function write(file: string, pem: string): Promise<void> {
  try {
    await writeFile(file, pem, { flag: 'wx' });
  } catch (error) {
    const code = nativeCode(error);
    if (code === 'EEXIST') {
      // The file holds this certificate already.
      if ((await readFile(file, 'latin1').catch(() => null)) === pem) return;
      throw new CliError(`${file} is there already and holds something else`, 'give another name with --save-ca FILE');
    }
    throw new CliError(`${file} can't be written: ${code}`, 'give another name with --save-ca FILE');
  }
}
