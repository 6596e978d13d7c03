import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Command } from 'commander';
import { homeDirectory } from '../../home.ts';
import { clientVariables } from '../client-env.ts';
import { clientSettings } from '../client-settings.ts';
import { CliError } from '../errors.ts';
import { oldNodeWarning } from '../old-node.ts';
import { startOwnDaemon } from '../own-daemon.ts';
import { readRunFile } from '../../run-file.ts';

interface Options {
  readonly home?: string;
  readonly profile?: string;
  readonly bypass?: string;
  readonly start?: boolean;
}

export function runCommand(): Command {
  return new Command('run')
    .description(
      'Runs a program with the proxy and trust settings that curl, wget, git, Python, Node, Java, Go, Ruby, Deno, Rust and gRPC clients read. Its exit code is the exit code.',
    )
    .argument('<command...>', 'the program and its arguments; after -- where it begins with a dash')
    .option('--profile <name>', 'ask for the certificates of this profile')
    .option('--bypass <hosts>', 'hosts to reach without the proxy, separated by commas (default: none)')
    .option('--start', 'start a daemon for the life of the command where none runs')
    .addHelpText(
      'after',
      `
Examples:
  mtlsd run curl https://api.partner.example/
  mtlsd run --profile alice -- python3 report.py
  mtlsd run --start npm test`,
    )
    .action(async (words: string[], _options, command: Command) => {
      const { home: flag, profile, bypass, start } = command.optsWithGlobals<Options>();
      const home = homeDirectory(flag, process.env);
      const stop = start && !(await readRunFile(home)) ? await startOwnDaemon(home) : null;
      try {
        const { settings } = await clientSettings(home, { profile, noProxy: bypass, withPassword: true });
        process.stderr.write((await oldNodeWarning(words[0] ?? '')) ?? '');
        process.exitCode = await runProgram(words, { ...process.env, ...clientVariables(settings, process.env) });
      } finally {
        await stop?.();
      }
    });
}

/** A shell's numbers: 127 for a program that is not there, 128 and the signal for one that was ended. */
function runProgram([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    // The program decides what a signal means. A terminal sends those of its keys to both already.
    const keys = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : [];
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)
      process.on(signal, () => void (keys.includes(signal) || child.kill(signal)));
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') {
        process.stderr.write(`mtlsd: ${program} is not found\nnext: check the name, and that it is in PATH\n`);
        resolve(127);
      } else
        reject(new CliError(`${program} can't be started: ${error.code ?? error.message}`, 'check that it may be run'));
    });
    child.on('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
