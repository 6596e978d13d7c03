import { Command, Option } from 'commander';
import type { MatchAnswer } from '../../admin/schemas/match.ts';
import { withAnyApi } from '../api/any.ts';
import { print, printAnswer } from '../output.ts';
import { parseTarget } from '../target.ts';
import { matchText } from '../words/match.ts';

interface Options {
  readonly home?: string;
  readonly profile?: string;
  readonly certificate?: string;
  readonly verification?: string;
  readonly json?: boolean;
}

export function matchCommand(): Command {
  return new Command('match')
    .description(
      'What a request for a URL would get: decision, certificate and rule, and why the others lost. Sends nothing.',
    )
    .argument('<url>', 'https://HOST[:PORT]/…, or HOST[:PORT]')
    .option('--profile <name>', "as the proxy's user name")
    .option('--certificate <name>', 'as Mtlsd-Certificate: an entry, or none')
    .addOption(new Option('--verification <mode>', 'as Mtlsd-Verification').choices(['enforce', 'report']))
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  mtlsd match https://api.partner.example/\n  mtlsd match dev.corp.example:8443 --profile alice',
    )
    .action(async (url: string, _options, command: Command) => {
      const { home, json, profile, certificate, verification } = command.optsWithGlobals<Options>();
      const { authority, scheme } = parseTarget(url);
      if (scheme === 'http' && !json) {
        print(`A request for ${url} is plain HTTP: it is passed on, and a certificate is never sent for it.`);
        return;
      }
      const query = new URLSearchParams({
        authority: authority.text,
        ...(profile && { profile }),
        ...(certificate && { certificate }),
        ...(verification && { verification }),
      });
      await withAnyApi(home, async (api) => {
        const { body } = await api.call<MatchAnswer>('GET', `/api/v1/match?${query.toString()}`);
        printAnswer(json, body, matchText);
      });
    });
}
