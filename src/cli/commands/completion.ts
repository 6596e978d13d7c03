import { Argument, Command } from 'commander';
import { bashCompletion, fishCompletion, type Node, zshCompletion } from '../completion-scripts.ts';
import { COMMANDS } from '../commands.ts';
import { print } from '../output.ts';

export function completionCommand(): Command {
  return new Command('completion')
    .description('A script that completes commands, options and the names of certificates.')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .addHelpText(
      'after',
      `
Examples:
  source <(mtlsd completion bash)                                            in ~/.bashrc
  mtlsd completion zsh > "\${fpath[1]}/_mtlsd"                                then start a new shell
  mtlsd completion fish > ~/.config/fish/completions/mtlsd.fish`,
    )
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };
      print(scripts[shell](await commandTree()));
    });
}

/** Every command and subcommand with its options, as commander knows them. */
export async function commandTree(): Promise<Node[]> {
  const nodes: Node[] = [];
  for (const { name, summary, load } of COMMANDS) {
    const command = await load();
    nodes.push(
      nodeOf([name], summary, command),
      ...command.commands.map((sub) => nodeOf([name, sub.name()], sub.description(), sub)),
    );
  }
  return nodes;
}

function nodeOf(path: readonly string[], summary: string, command: Command): Node {
  return {
    path,
    summary: summary.split(/[.:] /)[0]?.replace(/\.$/, '') ?? '',
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short, description, argChoices, required, optional }) => ({
        flags: [long, short].filter((flag) => typeof flag === 'string'),
        description: description.split(/[.:(] /)[0] ?? '',
        choices: argChoices ?? [],
        takesValue: required || optional,
        file: /<file|<dir/.test(command.options.find((one) => one.long === long)?.flags ?? ''),
      })),
    subcommands: command.commands.map((sub) => sub.name()),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    // The commands about one certificate take its name first.
    names: path[0] === 'cert' && ['show', 'set', 'remove', 'enable', 'disable'].includes(path[1] ?? ''),
  };
}
