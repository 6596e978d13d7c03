import type { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { OwnCertificate, OwnRevocation } from '../../../admin/own-revocation.ts';
import type { InspectAnswer } from '../../../admin/schemas/certificate.ts';
import { detect } from '../../../certs/identity/detect.ts';
import type { IdentitySource } from '../../../certs/identity/load.ts';
import type { PassphraseSource } from '../../../certs/identity/passphrase.ts';
import { loadTrust } from '../../../certs/trust.ts';
import { Secret } from '../../../core/secret.ts';
import { homeDirectory } from '../../../home.ts';
import { withAnyApi } from '../../api/any.ts';
import { trustForCa } from '../../ca-connection.ts';
import { type FileOptions, withFileOptions } from '../../entry-options.ts';
import { usage } from '../../errors.ts';
import { plainConnection } from '../../plain-connection.ts';
import { paint, pairs, print, printJson } from '../../output.ts';
import { askSecret, isInteractive, readStdin } from '../../prompt.ts';
import { readOrFail } from '../../read-file.ts';
import { factsText, problemsText } from '../../words/entry.ts';

export function inspectCommand(): Command {
  return withFileOptions(
    new Command('inspect')
      .description(
        'What is in files, whether they are usable as a client certificate, and whether the CRL that it names lists it. Adds nothing, needs no daemon. Exit code 1 where they are not usable.',
      )
      .argument('[file]', 'a PFX or a certificate, recognized by its content'),
  )
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd cert inspect partner.p12\n  mtlsd cert inspect me.crt --key me.key')
    .action(async (file: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<FileOptions & { home?: string; json?: boolean }>();
      // What opens keys is not needed by the other commands about certificates.
      const { inspectSource } = await import('../../../admin/inspect-source.ts');
      const source = await sourceOf(file, options);
      let revocation: OwnRevocation | null = null;
      const ask = async (own: OwnCertificate) => {
        const { ownRevocations } = await import('../../../admin/own-revocation.ts');
        const home = homeDirectory(options.home, process.env);
        revocation = await ownRevocations(plainConnection(home), () => anchorsOf(home))(own);
        return revocation;
      };
      let answer = await inspectSource(source, ask);
      const wants = answer.problems.some(({ code }) => code === 'PASSPHRASE_MISSING' || code === 'PASSPHRASE_WRONG');
      if (wants && source.passphrase === null && isInteractive())
        answer = await inspectSource({ ...source, passphrase: { text: await askSecret('Passphrase: ') } }, ask);
      if (options.json) printJson(answer);
      else print(inspectionText(answer, revocation));
      if (!answer.usable) process.exitCode = 1;
    });
}

async function sourceOf(file: string | undefined, options: FileOptions): Promise<IdentitySource> {
  const { cert, pfx } = options;
  const main = [file, cert, pfx].filter((one) => one !== undefined);
  if (main.length !== 1)
    throw usage(
      main.length === 0 ? 'no file is given' : `${main.join(' and ')} are both given`,
      'give one file, and --key FILE where it lacks its key',
    );
  const isPfx = pfx !== undefined || (file !== undefined && detect(await readOrFail(file)).kind === 'pfx');
  return {
    cert: isPfx ? null : { path: main[0] ?? '' },
    pfx: isPfx ? { path: main[0] ?? '' } : null,
    key: options.key === undefined ? null : { path: options.key },
    alias: options.alias ?? null,
    passphrase: await passphraseOf(options),
  };
}

async function passphraseOf(options: FileOptions): Promise<PassphraseSource | null> {
  if (options.passphraseEnv !== undefined) return { env: options.passphraseEnv };
  if (options.passphraseFile !== undefined) return { file: options.passphraseFile };
  if (options.passphraseCommand) return { command: options.passphraseCommand, cwd: process.cwd() };
  return options.passphraseStdin ? { text: new Secret(await readStdin()) } : null;
}

/** What the store trusts for every host; the system's where there is no store, or none that can be read. */
async function anchorsOf(home: string): Promise<readonly X509Certificate[]> {
  if (existsSync(join(home, 'certificates.yaml'))) {
    try {
      return (await withAnyApi(home, (api) => trustForCa(api, home, []))).certificates;
    } catch {
      // `doctor` says what is wrong with it
    }
  }
  return loadTrust({ system: true, ca: [] }).certificates;
}

function inspectionText(
  { usable, facts, problems, days_left }: InspectAnswer,
  revocation: OwnRevocation | null,
): string {
  const [leaf, ...rest] = facts;
  const verdict = usable
    ? paint('green', 'Usable as a client certificate.')
    : paint('red', 'Not usable as a client certificate.');
  const chain = rest.length === 0 ? '' : pairs([['chain', rest.map(({ subject }) => subject).join('\n')]]);
  const good = revocation?.status === 'good' ? pairs([['revoked', `no, as ${revocation.url} says`]]) : '';
  return `${verdict}\n${leaf ? `\n${factsText(leaf, days_left)}${chain}${good}` : ''}${problemsText(problems)}`;
}
