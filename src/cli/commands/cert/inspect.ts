import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { InspectAnswer } from '../../../admin/schemas/certificate.ts';
import { detect } from '../../../certs/identity/detect.ts';
import type { IdentitySource } from '../../../certs/identity/load.ts';
import type { PassphraseSource } from '../../../certs/identity/passphrase.ts';
import { Secret } from '../../../core/secret.ts';
import { type FileOptions, withFileOptions } from '../../entry-options.ts';
import { CliError, usage } from '../../errors.ts';
import { pairs, paint, print, printJson } from '../../output.ts';
import { askSecret, isInteractive, readStdin } from '../../prompt.ts';
import { factsText, problemsText } from '../../words/entry.ts';

export function inspectCommand(): Command {
  return withFileOptions(
    new Command('inspect')
      .description(
        'What is in files, and whether they are usable as a client certificate. Adds nothing, needs no daemon. Exit code 1 where they are not.',
      )
      .argument('[file]', 'a PFX or a certificate, recognized by its content'),
  )
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd cert inspect partner.p12\n  mtlsd cert inspect me.crt --key me.key')
    .action(async (file: string | undefined, options: FileOptions & { json?: boolean }) => {
      // What opens keys is not needed by the other commands about certificates.
      const { inspectSource } = await import('../../../admin/inspect-source.ts');
      const source = await sourceOf(file, options);
      let answer = await inspectSource(source);
      const wants = answer.problems.some(({ code }) => code === 'PASSPHRASE_MISSING' || code === 'PASSPHRASE_WRONG');
      if (wants && source.passphrase === null && isInteractive())
        answer = await inspectSource({ ...source, passphrase: { text: await askSecret('Passphrase: ') } });
      if (options.json) printJson(answer);
      else print(inspectionText(answer));
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
  const isPfx = pfx !== undefined || (file !== undefined && (await kindOf(file)) === 'pfx');
  return {
    cert: isPfx ? null : { path: main[0] ?? '' },
    pfx: isPfx ? { path: main[0] ?? '' } : null,
    key: options.key === undefined ? null : { path: options.key },
    alias: options.alias ?? null,
    passphrase: await passphraseOf(options),
  };
}

async function kindOf(file: string): Promise<string> {
  try {
    return detect(await readFile(file)).kind;
  } catch (error) {
    throw new CliError(`${file} can't be read: ${(error as NodeJS.ErrnoException).code}`, 'check the path');
  }
}

async function passphraseOf(options: FileOptions): Promise<PassphraseSource | null> {
  if (options.passphraseEnv !== undefined) return { env: options.passphraseEnv };
  if (options.passphraseFile !== undefined) return { file: options.passphraseFile };
  if (options.passphraseCommand) return { command: options.passphraseCommand, cwd: process.cwd() };
  return options.passphraseStdin ? { text: new Secret(await readStdin()) } : null;
}

function inspectionText({ usable, facts, problems, days_left }: InspectAnswer): string {
  const [leaf, ...rest] = facts;
  const verdict = usable
    ? paint('green', 'Usable as a client certificate.')
    : paint('red', 'Not usable as a client certificate.');
  const chain = rest.length === 0 ? '' : pairs([['chain', rest.map(({ subject }) => subject).join('\n')]]);
  return `${verdict}\n${leaf ? `\n${factsText(leaf, days_left)}${chain}` : ''}${problemsText(problems)}`;
}
