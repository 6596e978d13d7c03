import { Argument, Command } from 'commander';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion-scripts.ts';
import { type CommandEntry, commandTree } from '../command-tree.ts';
import { print } from '../output.ts';

export function completionCommand(commands: readonly CommandEntry[]): Command {
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
      print(scripts[shell](await commandTree(commands)));
    });
}
