import { Command } from 'commander';
import { health } from '../../../bin/health.js';
import { homeDirectory } from '../../home.ts';
import { CliError } from '../errors.ts';
import { print } from '../output.ts';

export function healthCommand(): Command {
  return new Command('health')
    .description(
      'Asks the daemon whether it takes connections. Exit code 1 where it does not, or none runs. For health checks of containers: it starts faster than every other command.',
    )
    .addHelpText('after', '\nExamples:\n  mtlsd health\n  mtlsd --home /var/lib/mtlsd health')
    .action(async (_options, command: Command) => {
      // bin/mtlsd.js answers the plain call; this is for --help and for options in any other order.
      const { home } = command.optsWithGlobals<{ home?: string }>();
      const { ready, message } = await health(homeDirectory(home, process.env));
      if (!ready) throw new CliError(message, 'mtlsd start, or look at the log of the daemon');
      print(message);
    });
}
