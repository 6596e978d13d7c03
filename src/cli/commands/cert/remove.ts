import { Command } from 'commander';
import type { EntryAnswer } from '../../../admin/schemas/certificate.ts';
import { withAnyApi } from '../../api/any.ts';
import { CliError } from '../../errors.ts';
import { print, printJson } from '../../output.ts';
import { confirm, isInteractive } from '../../prompt.ts';
import { writtenText } from './add.ts';
import { entryPath } from './list.ts';

interface Options {
  readonly home?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function removeCommand(): Command {
  return new Command('remove')
    .alias('rm')
    .description('Removes a certificate from the store. Files named by path stay; what was uploaded for it goes too.')
    .argument('<name...>', 'as in mtlsd cert list')
    .option('-y, --yes', 'without asking, where a key that was uploaded would go')
    .addHelpText('after', '\nExample:\n  mtlsd cert remove partner-api')
    .action(async (names: string[], _options, command: Command) => {
      const { home, yes } = command.optsWithGlobals<Options>();
      await withAnyApi(home, async (api) => {
        for (const name of names) {
          const { body, headers } = await api.call<EntryAnswer>('GET', entryPath(name));
          const uploaded = [body.cert, body.key, body.pfx].some(
            (file) => typeof file === 'string' && /^files\/[0-9a-f]{32}\./.test(file),
          );
          // Without another copy of the key, the user would need a new certificate.
          if (
            uploaded &&
            !yes &&
            isInteractive() &&
            !(await confirm(`${name} has a key that is kept here alone. Remove it?`))
          )
            throw new CliError(`${name} stays`);
          await api.call('DELETE', entryPath(name), { headers: { 'if-match': String(headers.etag) } });
          print(`removed ${name}${uploaded ? ' and its files' : ''}`);
        }
      });
    });
}

export function switchCommand(verb: 'enable' | 'disable'): Command {
  return new Command(verb)
    .description(verb === 'enable' ? 'Uses a certificate again.' : 'Keeps a certificate without using it.')
    .argument('<name...>', 'as in mtlsd cert list')
    .option('--json', 'as JSON')
    .addHelpText('after', `\nExample:\n  mtlsd cert ${verb} partner-api`)
    .action(async (names: string[], _options, command: Command) => {
      const { home, json } = command.optsWithGlobals<Options>();
      await withAnyApi(home, async (api) => {
        const entries = [];
        for (const name of names) {
          const { body } = await api.call<EntryAnswer>('PATCH', entryPath(name), {
            body: { enabled: verb === 'enable' },
          });
          entries.push(body);
          if (!json) print(`${verb}d ${writtenText(body, api)}`);
        }
        if (json) printJson(entries);
      });
    });
}
