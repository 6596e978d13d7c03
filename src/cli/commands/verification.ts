import { Command } from 'commander';
import type { RuleFields, VerificationFields } from '../../certs/store/schema.ts';
import { withAnyApi } from '../api/any.ts';
import { print, printAnswer } from '../output.ts';
import { rulePath } from '../rules.ts';
import { hostOf, parsePattern } from '../target.ts';
import { ruleText, verificationText } from '../words/rule.ts';
import { verificationSetCommand } from './verification/set.ts';

interface Options {
  readonly home?: string;
  readonly host?: string;
  readonly json?: boolean;
}

/** Works on the daemon that runs, else on certificates.yaml itself. */
export function verificationCommand(): Command {
  return new Command('verification')
    .description('How servers are verified: the mode, and the rules by host. Works with and without a running daemon.')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd verification show
  mtlsd verification set report --host dev.corp.example   check, record every problem, let it through
  mtlsd verification remove dev.corp.example`,
    )
    .addCommand(showCommand())
    .addCommand(verificationSetCommand())
    .addCommand(removeCommand());
}

function showCommand(): Command {
  return new Command('show')
    .description('The mode and the rules, or the rule of one host. mtlsd match URL tells which one applies to a URL.')
    .argument('[host]', 'HOST, HOST:PORT or HOST:*, exactly as in the rule')
    .option('--host <host>', 'the same')
    .option('--json', 'as JSON')
    .action(async (argument: string | undefined, _options, command: Command) => {
      const { home, json, host: option } = command.optsWithGlobals<Options>();
      const host = argument === undefined && option === undefined ? undefined : hostOf(argument, option);
      await withAnyApi(home, async (api) => {
        if (host === undefined) {
          const { body } = await api.call<VerificationFields>('GET', '/api/v1/verification');
          printAnswer(json, body, verificationText);
        } else {
          const { body } = await api.call<RuleFields>('GET', rulePath(parsePattern(host)));
          printAnswer(json, body, ruleText);
        }
      });
    });
}

function removeCommand(): Command {
  return new Command('remove')
    .alias('rm')
    .description('Removes the rule of a host, which is then verified like all others.')
    .argument('[host]', 'HOST, HOST:PORT or HOST:*, exactly as in the rule')
    .option('--host <host>', 'the same')
    .addHelpText('after', '\nExample:\n  mtlsd verification remove dev.corp.example')
    .action(async (argument: string | undefined, _options, command: Command) => {
      const { home, host: option } = command.optsWithGlobals<Options>();
      const host = hostOf(argument, option);
      await withAnyApi(home, async (api) => {
        await api.call('DELETE', rulePath(parsePattern(host)));
        print(`removed the rule for ${host}`);
      });
    });
}
