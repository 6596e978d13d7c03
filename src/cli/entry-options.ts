/** The options that say what an entry is made of, for adding and for changing one. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { EntryAnswer, EntryPatch } from '../admin/schemas/certificate.ts';
import { Secret } from '../core/secret.ts';
import { type Api, ApiError } from './api/api.ts';
import { CliError, usage } from './errors.ts';
import { askSecret, isInteractive, readStdin } from './prompt.ts';
import { readOrFail } from './read-file.ts';

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

/** A passphrase is never an argument, since every user of the machine can read arguments. */
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
 * As the API takes them: absolute paths, or the files' content with --upload. The passphrase is separate, as a secret.
 * @throws CliError
 */
export async function fileFields(options: FileOptions): Promise<{ fields: FileFields; passphrase: Secret | null }> {
  const { cert, key, pfx, alias, upload } = options;
  const fields: { -readonly [K in keyof FileFields]: FileFields[K] } = {};
  if (alias !== undefined) fields.alias = alias;
  if (upload) {
    if (cert !== undefined) fields.cert_pem = await pemText(cert);
    if (key !== undefined) fields.key_pem = await pemText(key);
    if (pfx !== undefined) fields.pfx_base64 = (await readOrFail(pfx)).toString('base64');
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

async function pemText(file: string): Promise<string> {
  const text = (await readOrFail(file)).toString('latin1');
  if (text.includes('-----BEGIN ')) return text;
  throw new CliError(`${file} is not PEM`, 'leave out --upload, so that the daemon reads the file where it is', 2);
}

/**
 * Writes an entry. Where a passphrase is missing and the command runs on a terminal, it asks for the passphrase and sends again.
 * @param others fields beside those of the files
 */
export async function sendEntry(
  api: Api,
  [method, path]: readonly [method: 'POST' | 'PATCH', path: string],
  { check, pfx, key, cert }: FileOptions & { readonly check: boolean },
  { fields, passphrase: given }: Awaited<ReturnType<typeof fileFields>>,
  others: EntryPatch,
): Promise<EntryAnswer> {
  const send = async (passphrase: Secret | null): Promise<EntryAnswer> => {
    const body = { ...fields, ...others, ...(passphrase && { passphrase: passphrase.reveal() }) };
    return (await api.call<EntryAnswer>(method, `${path}${check ? '' : '?check=false'}`, { body })).body;
  };
  try {
    return await send(given);
  } catch (error) {
    const wants = error instanceof ApiError && /^PASSPHRASE_(MISSING|WRONG)$/.test(error.code);
    if (!wants || given !== null || fields.passphrase !== undefined) throw error;
    if (!isInteractive())
      throw new CliError(
        error.message,
        'give --passphrase-env, --passphrase-file, --passphrase-command or --passphrase-stdin, or run it on a terminal to be asked',
      );
    return send(await askSecret(`Passphrase of ${pfx ?? key ?? cert ?? 'the file'}: `));
  }
}
