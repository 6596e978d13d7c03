import { Command, Option } from 'commander';
import { homeDirectory } from '../../home.ts';
import { clientVariables } from '../client-env.ts';
import { clientSettings } from '../client-settings.ts';
import { print, printJson } from '../output.ts';
import { exportLine, type Shell, SHELLS, usualShell } from '../shell.ts';

interface Options {
  readonly home?: string;
  readonly profile?: string;
  readonly bypass?: string;
  readonly shell?: Shell;
  readonly password?: boolean;
  readonly json?: boolean;
}

export function envCommand(): Command {
  return new Command('env')
    .description(
      'The settings of mtlsd run as lines for a shell, so that everything started from it goes through the daemon.',
    )
    .addOption(new Option('--shell <shell>', 'for this shell (default: your own)').choices([...SHELLS]))
    .option('--profile <name>', 'ask for the certificates of this profile')
    .option('--bypass <hosts>', 'hosts to reach without the proxy, separated by commas (default: none)')
    .option('--password', "print the proxy's password too, if it requires one")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Examples:
  eval "$(mtlsd env)"
  mtlsd env --shell fish | source
  mtlsd env --shell powershell | Out-String | Invoke-Expression`,
    )
    .action(async (_options, command: Command) => {
      const { home, profile, bypass, shell, password, json } = command.optsWithGlobals<Options>();
      const { settings, passwordMissing } = await clientSettings(homeDirectory(home, process.env), {
        profile,
        noProxy: bypass,
        withPassword: password ?? false,
      });
      const variables = clientVariables(settings, process.env);
      if (json) return printJson(variables);
      const lines = Object.entries(variables).map(([name, value]) =>
        exportLine(shell ?? usualShell(process.env), name, value),
      );
      print(lines.join('\n'));
      if (passwordMissing)
        process.stderr.write('mtlsd: the proxy requires a password, which is left out\nnext: add --password\n');
    });
}
