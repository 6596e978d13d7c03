import { Command } from 'commander';
import type { EntryAnswer } from '../../../admin/schemas/certificate.ts';
import { withAnyApi } from '../../api/any.ts';
import type { Api } from '../../api/api.ts';
import { type FileOptions, fileFields, renewFields, sendEntry, withFileOptions } from '../../entry-options.ts';
import { usage } from '../../errors.ts';
import { inDays, paint, printAnswer } from '../../output.ts';
import { hostOf, parsePattern } from '../../target.ts';
import { placeText, problemsText } from '../../words/entry.ts';

interface Options extends FileOptions {
  readonly home?: string;
  readonly host?: string;
  readonly name?: string;
  readonly profile?: string;
  readonly withholdUnverified?: boolean;
  readonly renewEst?: string;
  readonly renewStep?: string;
  readonly disabled?: boolean;
  readonly check: boolean;
  readonly json?: boolean;
}

export function addCommand(): Command {
  return withFileOptions(
    new Command('add')
      .description('Adds a certificate for a host. Of two for the same host and port, the one added last is used.')
      .argument('[host]', 'HOST, HOST:PORT, HOST:* for any port, or "*.SUFFIX"; port 443 when left out')
      .option('--host <host>', 'the same'),
  )
    .option('--name <name>', 'what to call it (default: made from the host)')
    .option('--profile <name>', 'only for clients that ask for this profile')
    .option('--withhold-unverified', 'send it only to servers that pass verification')
    .option('--renew-est <url>', 'renew it by itself, from this EST server')
    .option('--renew-step <url>', 'renew it by itself, from this step-ca')
    .option('--disabled', 'add it without using it')
    .option('--upload', 'keep a copy in the home folder, rather than the path')
    .option('--no-check', 'add it although its files would not load (yet)')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd cert add api.partner.example --pfx partner.p12
  mtlsd cert add api.partner.example:8443 --cert partner.crt --key partner.key --passphrase-env PARTNER_PASS
  mtlsd cert add '*.corp.example:*' --pfx me.p12 --name corp --passphrase-command op read op://vault/me/pfx
  pass show partner | mtlsd cert add api.partner.example --pfx partner.p12 --passphrase-stdin`,
    )
    .action(async (argument: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      if (options.pfx === undefined && options.cert === undefined)
        throw usage('no certificate is given', 'give --pfx FILE, or --cert FILE and --key FILE');
      const files = await fileFields(options);
      const place = parsePattern(hostOf(argument, options.host));
      await withAnyApi(options.home, async (api) => {
        const body = await sendEntry(api, ['POST', '/api/v1/certificates'], options, files, {
          host: place.host,
          ...(place.port !== undefined && { port: place.port }),
          ...(options.name !== undefined && { name: options.name }),
          ...(options.profile !== undefined && { profile: options.profile }),
          ...(options.withholdUnverified && { withhold_unverified: true }),
          ...renewFields(options),
          ...(options.disabled && { enabled: false }),
        });
        printAnswer(options.json, body, () => `added ${writtenText(body, api)}`);
      });
    });
}

/** The entry as it was written, and when it takes effect. */
export function writtenText(entry: EntryAnswer, api: Api): string {
  const [leaf] = entry.facts;
  const holds = leaf
    ? `\n  ${leaf.subject}, issued by ${leaf.issuer}, ${(entry.days_left ?? 0) < 0 ? 'expired' : 'expires'} ${inDays(entry.days_left ?? 0)}`
    : '';
  const waits = api.daemon === null ? '; takes effect at the next start' : '';
  const shadow =
    entry.shadowed_by === null
      ? ''
      : `\n  ${paint('yellow', `shadowed by ${entry.shadowed_by}`)}, which comes later in the store`;
  return `${paint('bold', entry.name)} for ${placeText(entry)}${entry.enabled ? '' : ', disabled'}${waits}${holds}${shadow}\n${problemsText(entry.problems)}`;
}
