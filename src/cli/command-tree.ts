import type { Command } from 'commander';
import type { Node } from './completion-scripts.ts';

/** A command with its line in the help, and how to load it. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command and subcommand with its options, as commander knows them. */
export async function commandTree(commands: readonly CommandEntry[]): Promise<Node[]> {
  const nodes: Node[] = [];
  for (const { name, summary, load } of commands) {
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
