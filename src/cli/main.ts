/** `mtlsd`: the command line. Each command is a file in commands/; errors say what, why and what next. */
import { Command, CommanderError } from 'commander';
import { MtlsdError } from '../core/errors.ts';
import { VERSION } from '../version.ts';
import { demoCommand } from './commands/demo.ts';
import { startCommand } from './commands/start.ts';

/** Exit codes: 0 done, 1 failed, 2 wrong usage or a file that can't stand. */
export async function main(args: readonly string[]): Promise<void> {
  const program = new Command('mtlsd')
    .description(
      'A local mTLS forward proxy: presents the right client certificate to each host and says what happened.',
    )
    .version(VERSION, '-V, --version')
    .option(
      '--home <dir>',
      'where settings, certificates and the local CA are (default: $MTLSD_HOME, else ~/.config/mtlsd)',
    )
    .showHelpAfterError('mtlsd --help lists the commands')
    .exitOverride();
  for (const command of [startCommand, demoCommand]) program.addCommand(command().copyInheritedSettings(program));
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  if (error instanceof MtlsdError) {
    process.stderr.write(
      `${error.message
        .split('\n')
        .map((line) => `mtlsd: ${line}`)
        .join('\n')}\n`,
    );
    if (!error.message.includes('\n') && error.code !== 'BAD_CONFIGURATION')
      process.stderr.write(`next: ${error.hint}\n`);
    else if (error.hint !== new MtlsdError('BAD_CONFIGURATION', '').hint) process.stderr.write(`next: ${error.hint}\n`);
    return error.code === 'BAD_CONFIGURATION' ? 2 : 1;
  }
  process.stderr.write(`mtlsd: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}
