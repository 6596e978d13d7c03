import { Command } from 'commander';
import type { EntryPatch } from '../../../admin/schemas/certificate.ts';
import { withAnyApi } from '../../api/any.ts';
import { type FileOptions, fileFields, renewFields, sendEntry, withFileOptions } from '../../entry-options.ts';
import { usage } from '../../errors.ts';
import { printAnswer } from '../../output.ts';
import { parsePattern } from '../../target.ts';
import { writtenText } from './add.ts';
import { entryPath } from './list.ts';

interface Options extends FileOptions {
  readonly home?: string;
  readonly host?: string;
  readonly rename?: string;
  /** false for --no-profile. */
  readonly profile?: string | false;
  readonly passphrase?: false;
  readonly withholdUnverified?: boolean;
  readonly renewEst?: string;
  readonly renewStep?: string;
  /** false for --no-renew. */
  readonly renew?: false;
  readonly check: boolean;
  readonly json?: boolean;
}

export function setCommand(): Command {
  return withFileOptions(
    new Command('set')
      .description('Changes a certificate: what is given is set, the rest stays.')
      .argument('<name>', 'as in mtlsd cert list')
      .option('--host <host>', 'HOST, HOST:PORT or HOST:*'),
  )
    .option('--no-passphrase', 'take the passphrase out')
    .option('--rename <name>', 'another name')
    .option('--profile <name>', 'only for clients that ask for this profile')
    .option('--no-profile', 'for every client')
    .option('--withhold-unverified', 'send it only to servers that pass verification')
    .option('--no-withhold-unverified', 'send it whether or not they pass')
    .option('--renew-est <url>', 'renew it by itself, from this EST server')
    .option('--renew-step <url>', 'renew it by itself, from this step-ca')
    .option('--no-renew', 'stop renewing it')
    .option('--upload', 'keep a copy in the home folder, rather than the path')
    .option('--no-check', 'change it although its files would not load (yet)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd cert set partner-api --pfx renewed.p12
  mtlsd cert set partner-api --host api.partner.example:8443
  mtlsd cert set corp --profile alice`,
    )
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const files = await fileFields(options);
      const others: EntryPatch = {
        ...otherFields(options),
        ...renewFields(options),
        ...(options.renew === false && { renew: null }),
      };
      if (Object.keys({ ...files.fields, ...others }).length === 0 && files.passphrase === null)
        throw usage('nothing to change is given', 'mtlsd cert set --help lists what can be');
      await withAnyApi(options.home, async (api) => {
        const body = await sendEntry(api, ['PATCH', entryPath(name)], options, files, others);
        printAnswer(options.json, body, () => `changed ${writtenText(body, api)}`);
      });
    });
}

function otherFields({ host, rename, profile, passphrase, withholdUnverified }: Options): EntryPatch {
  const place = host === undefined ? null : parsePattern(host);
  return {
    ...(place && { host: place.host }),
    ...(place?.port !== undefined && { port: place.port }),
    ...(rename !== undefined && { name: rename }),
    ...(profile !== undefined && { profile: profile === false ? null : profile }),
    ...(passphrase === false && { passphrase: null }),
    ...(withholdUnverified !== undefined && { withhold_unverified: withholdUnverified }),
  };
}
