/** `mtlsd`: the command line. Each command is a file in commands/, loaded only when it is called. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../version.ts';
import { COMMANDS } from './commands.ts';
import { asHomeFault } from '../core/files/system-fault.ts';
import { homeDirectory } from '../home.ts';
import { report } from './errors.ts';

/** Exit codes: 0 done, 1 failed, 2 wrong usage or an invalid file. */
export async function main(args: readonly string[]): Promise<void> {
  // A reader that has seen enough, such as head, is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const program = createProgram();
  const wanted = commandOf(args);
  for (const { name, summary, load } of COMMANDS) {
    const command = name === wanted ? (await load()).summary(summary) : new Command(name).summary(summary);
    program.addCommand(command.copyInheritedSettings(program));
    inherit(command, `mtlsd ${name}`);
  }
  try {
    await program.parseAsync(wanted === 'run' ? separated(args, program) : [...args], { from: 'user' });
  } catch (error) {
    // commander has printed its message by then.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else
      process.exitCode = report(asHomeFault(error, homeDirectory(program.opts<{ home?: string }>().home, process.env)));
  }
}

export function createProgram(): Command {
  return new Command('mtlsd')
    .description(
      'A local mTLS forward proxy: presents the right client certificate to each host and says what happened.',
    )
    .version(VERSION, '-V, --version')
    .option(
      '--home <dir>',
      'where settings, certificates and the local CA are (default: $MTLSD_HOME, else ~/.config/mtlsd)',
    )
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .showHelpAfterError('next: mtlsd --help')
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'mtlsd: ')) })
    .addHelpText('after', EXAMPLES)
    .exitOverride();
}

const EXAMPLES = `
Exit codes: 0 done, 1 failed, 2 wrong usage. Every command has --help with examples, and most have --json.

Examples:
  mtlsd demo                                            see it work; needs nothing else
  mtlsd start                                           run the daemon
  mtlsd cert add api.partner.example --pfx partner.p12  use this certificate for that host
  mtlsd run -- curl https://api.partner.example/        run any program through the daemon
  mtlsd tail --failed                                   watch what goes wrong, and why
  mtlsd verification set report --host dev.example      let one host through whatever its certificate`;

/** Settings of the program reach the subcommands of subcommands too. */
function inherit(command: Command, path: string): void {
  command.showHelpAfterError(`next: ${path} --help`);
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    inherit(sub, `${path} ${sub.name()}`);
  }
}

/** `mtlsd run curl -s URL`: everything from the first word that is not our option belongs to the program. */
function separated(args: readonly string[], program: Command): string[] {
  const run = args.indexOf('run');
  const command = program.commands.find((each) => each.name() === 'run');
  const options = [...program.options, ...(command?.options ?? [])];
  for (let i = run + 1; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') break;
    if (!arg.startsWith('-')) return [...args.slice(0, i), '--', ...args.slice(i)];
    if (options.some((option) => option.required && (option.short === arg || option.long === arg))) i++;
  }
  return [...args];
}

/** The first word that is no option; `help NAME` means that command too. */
function commandOf(args: readonly string[]): string | undefined {
  const words = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') break;
    if (arg === '--home') i++;
    else if (!arg.startsWith('-')) words.push(arg);
  }
  return words[0] === 'help' ? words[1] : words[0];
}
