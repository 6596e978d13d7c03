/** The options that say what an entry is made of, for adding and for changing one. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { EntryPatch } from '../admin/schemas/certificate.ts';
import { Secret } from '../core/secret.ts';
import { ApiError } from './api/api.ts';
import { CliError, usage } from './errors.ts';
import { askSecret, isInteractive, readStdin } from './prompt.ts';

export interface FileOptions {
  readonly cert?: string;
  readonly key?: string;
  readonly pfx?: string;
  readonly alias?: string;
  readonly upload?: boolean;
  readonly passphraseEnv?: string;
  readonly passphraseFile?: string;
  readonly passphraseCommand?: readonly string[];
  readonly passphraseStdin?: boolean;
}

/** A passphrase itself is never an argument: every user of the machine can read those. */
export function withFileOptions(command: Command): Command {
  return command
    .option('--pfx <file>', 'a PKCS#12 file (.pfx, .p12)')
    .option('--cert <file>', 'the certificate, PEM or DER, with or without its chain and key')
    .option('--key <file>', 'the private key, where the certificate file does not hold it')
    .option('--alias <name>', 'which key of a PFX with several')
    .option('--passphrase-env <name>', "the passphrase is in this variable of the daemon's environment")
    .option('--passphrase-file <file>', 'the passphrase is in this file')
    .option('--passphrase-command <word...>', 'the passphrase is what this program prints')
    .option('--passphrase-stdin', 'read the passphrase from standard input, and keep it in the home folder (0600)');
}

export type FileFields = Pick<
  EntryPatch,
  'cert' | 'key' | 'pfx' | 'alias' | 'passphrase' | 'cert_pem' | 'key_pem' | 'pfx_base64'
>;

/**
 * As the API takes them: absolute paths, or the files' content with --upload. The passphrase is apart, a secret.
 * @throws CliError
 */
export async function fileFields(options: FileOptions): Promise<{ fields: FileFields; passphrase: Secret | null }> {
  const { cert, key, pfx, alias, upload } = options;
  const fields: { -readonly [K in keyof FileFields]: FileFields[K] } = {};
  if (alias !== undefined) fields.alias = alias;
  if (upload) {
    if (cert !== undefined) fields.cert_pem = await pemText(cert);
    if (key !== undefined) fields.key_pem = await pemText(key);
    if (pfx !== undefined) fields.pfx_base64 = (await content(pfx)).toString('base64');
  } else {
    if (cert !== undefined) fields.cert = resolve(cert);
    if (key !== undefined) fields.key = resolve(key);
    if (pfx !== undefined) fields.pfx = resolve(pfx);
  }
  const given = [options.passphraseEnv, options.passphraseFile, options.passphraseCommand, options.passphraseStdin];
  if (given.filter((one) => one !== undefined).length > 1)
    throw usage('more than one source of the passphrase is given', 'give one of the --passphrase options');
  if (options.passphraseEnv !== undefined) fields.passphrase = { env: options.passphraseEnv };
  if (options.passphraseFile !== undefined) fields.passphrase = { file: resolve(options.passphraseFile) };
  if (options.passphraseCommand) fields.passphrase = { command: [...options.passphraseCommand] };
  return { fields, passphrase: options.passphraseStdin ? new Secret(await readStdin()) : null };
}

/** @throws CliError */
export function renewFields({
  renewEst,
  renewStep,
}: {
  readonly renewEst?: string;
  readonly renewStep?: string;
}): Pick<EntryPatch, 'renew'> {
  if (renewEst !== undefined && renewStep !== undefined)
    throw usage('--renew-est and --renew-step are both given', 'give one of them');
  if (renewEst !== undefined) return { renew: { est: renewEst } };
  return renewStep === undefined ? {} : { renew: { step: renewStep } };
}

async function content(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CliError(`${file} can't be read: ${(error as NodeJS.ErrnoException).code}`, 'check the path');
  }
}

async function pemText(file: string): Promise<string> {
  const bytes = await content(file);
  const text = bytes.toString('latin1');
  if (text.includes('-----BEGIN ')) return text;
  throw new CliError(`${file} is not PEM`, 'leave out --upload, so that the daemon reads the file where it is', 2);
}

/**
 * Sends it; where a passphrase is missing and a person is there, asks and sends it again.
 * @param send with the passphrase, where there is one
 */
export async function withPassphrase<T>(
  passphrase: Secret | null,
  hasSource: boolean,
  file: string | undefined,
  send: (passphrase: Secret | null) => Promise<T>,
): Promise<T> {
  try {
    return await send(passphrase);
  } catch (error) {
    const wants = error instanceof ApiError && /^PASSPHRASE_(MISSING|WRONG)$/.test(error.code);
    if (!wants || passphrase !== null || hasSource) throw error;
    if (!isInteractive())
      throw new CliError(
        error.message,
        'give --passphrase-env, --passphrase-file, --passphrase-command or --passphrase-stdin, or run it on a terminal to be asked',
      );
    return send(await askSecret(`Passphrase of ${file ?? 'the file'}: `));
  }
}
