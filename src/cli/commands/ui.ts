import { Command } from 'commander';
import { homeDirectory } from '../../home.ts';
import { withDaemon } from '../api/daemon.ts';
import { CliError } from '../errors.ts';
import { openFile } from '../open-file.ts';
import { pairs, print, printJson } from '../output.ts';
import { writeSignInFile } from '../sign-in-file.ts';

interface Options {
  readonly home?: string;
  readonly open: boolean;
  readonly json?: boolean;
}

export function uiCommand(): Command {
  return new Command('ui')
    .description(
      'Opens the web page of the daemon that runs, signed in. Prints its address and a one-time code as well, for a browser that can not open the file or runs elsewhere.',
    )
    .option('--no-open', 'only print address and code')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  mtlsd ui\n  mtlsd ui --no-open')
    .action(async (_options, command: Command) => {
      const { home: flag, open, json } = command.optsWithGlobals<Options>();
      const home = homeDirectory(flag, process.env);
      await withDaemon(home, async (api) => {
        const admin = api.daemon?.admin ?? '';
        if (admin.startsWith('unix:'))
          throw new CliError(
            `the admin API listens on ${admin}, which no browser opens`,
            'set admin: 127.0.0.1:8741 in mtlsd.yaml and start the daemon again',
          );
        const { body } = await api.call<{ code: string; expires: string }>('POST', '/api/v1/session/codes');
        const url = `${admin}/`;
        const file = open ? await writeSignInFile(home, url, body.code) : null;
        const opened = file !== null && (await openFile(file, process.env));
        if (json) printJson({ url, ...body, file, opened });
        else
          print(
            pairs([
              ['page', url],
              ['code', `${body.code} (valid once, for 60 seconds)`],
              ['file', file && `${file}${opened ? '' : ' (open it in a browser, or type the code into the page)'}`],
            ]),
          );
      });
    });
}
