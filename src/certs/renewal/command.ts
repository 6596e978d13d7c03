/** A program that renews: it prints the new certificate, or replaces the files itself. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { pemBlocks } from '../identity/pem.ts';
import { ProgramFailed, runProgram } from '../identity/program.ts';
import { RenewalFault } from './fault.ts';

/** For a slow CA; shorter than the life of a lock from another machine. */
const TIMEOUT_MS = 45_000;
const MOST_BYTES = 256 * 1024;

export interface RenewalCommand {
  readonly command: readonly string[];
  /** The store's folder. */
  readonly cwd: string;
  readonly entry: string;
  readonly host: string;
  /** Paths of the certificate (or the PFX) and of the key. */
  readonly cert: string;
  readonly key: string;
  readonly signal: AbortSignal;
}

export type CommandOutcome =
  | { readonly is: 'printed'; readonly certificates: readonly X509Certificate[]; readonly key: KeyObject | null }
  | { readonly is: 'wrote' };

/** @throws RenewalFault COMMAND_FAILED, without anything of what it wrote, since that may be a key */
export async function runRenewalCommand(renewal: RenewalCommand): Promise<CommandOutcome> {
  const { command, cwd, entry, host, cert, key, signal } = renewal;
  const env = { MTLSD_ENTRY: entry, MTLSD_HOST: host, MTLSD_CERT: cert, MTLSD_KEY: key };
  const output = await runProgram({ command, cwd, timeoutMs: TIMEOUT_MS, maxBytes: MOST_BYTES, env, signal }).catch(
    (error: unknown) => {
      if (error instanceof ProgramFailed) throw failed(command, error.message);
      throw error;
    },
  );
  const text = output.toString('latin1');
  if (!text.includes('-----BEGIN ')) return { is: 'wrote' };
  try {
    const blocks = pemBlocks(text, 'its output');
    const keys = blocks.filter(({ label }) => label.endsWith('PRIVATE KEY'));
    const certificates = blocks
      .filter(({ label }) => label === 'CERTIFICATE')
      .map(({ der }) => new X509Certificate(der));
    if (certificates.length === 0) throw failed(command, 'printed PEM without a certificate');
    const [own] = keys;
    return { is: 'printed', certificates, key: own ? keyOfPem(text, own.label) : null };
  } catch (error) {
    if (error instanceof RenewalFault) throw error;
    throw failed(command, 'printed PEM that is damaged');
  }
}

function keyOfPem(text: string, label: string): KeyObject {
  const start = text.indexOf(`-----BEGIN ${label}-----`);
  return createPrivateKey(text.slice(start));
}

function failed([program = '']: readonly string[], why: string): RenewalFault {
  return new RenewalFault('COMMAND_FAILED', `the renewal command ${program} ${why}`);
}
