/** `mtlsd.1`, from what `--help` is made of: commander's commands, so that both always say the same. */
import type { Command, Option } from 'commander';
import { createProgram } from '../src/cli/main.ts';
import { COMMANDS } from '../src/cli/commands.ts';
import { VERSION } from '../src/version.ts';

export async function manPage(): Promise<string> {
  const program = createProgram();
  const sections = [
    `.TH MTLSD 1 "" "mtlsd ${VERSION}" "mtlsd"`,
    '.SH NAME',
    `mtlsd \\- ${roff(withoutStop(lowered(program.description())))}`,
    '.SH SYNOPSIS',
    '.B mtlsd',
    '.RI [ options ] " command " [ arguments ]',
    '.SH OPTIONS',
    ...program.options.map(optionText),
    '.TP\n.B \\-h, \\-\\-help\nThe help of a command.',
    '.SH COMMANDS',
  ];
  for (const { name, summary, load } of COMMANDS) {
    const command = await load();
    sections.push(...commandText(`mtlsd ${name}`, command, summary));
    for (const sub of command.commands)
      sections.push(...commandText(`mtlsd ${name} ${sub.name()}`, sub, sub.description()));
  }
  const { exits, examples } = after(program);
  sections.push('.SH EXIT STATUS', roff(exits), '.SH EXAMPLES', block(examples));
  return `${sections.join('\n')}\n`;
}

function commandText(path: string, command: Command, summary: string): string[] {
  const usage = command.commands.length > 0 ? 'COMMAND' : command.usage().replace(/^\[options\] ?/, '');
  const text = command.description() === '' ? summary : command.description();
  const { examples } = after(command);
  return [
    `.SS ${roff(`${path} ${usage}`.trim())}`,
    roff(text),
    ...command.registeredArguments
      .filter(({ description }) => description !== '')
      .map((argument) => `.TP\n.I ${roff(argument.name())}\n${roff(argument.description)}`),
    ...command.options.filter(({ hidden }) => !hidden).map(optionText),
    ...(examples === '' ? [] : ['.PP', 'Examples:', block(examples)]),
  ];
}

function optionText({ flags, description, argChoices, defaultValue }: Option): string {
  const choices = argChoices && argChoices.length > 0 ? ` (${argChoices.join(', ')})` : '';
  const usual =
    typeof defaultValue === 'string' || typeof defaultValue === 'number' ? ` (default: ${defaultValue})` : '';
  return `.TP\n.B ${roff(flags)}\n${roff(`${description}${choices}${usual}`)}`;
}

/** What comes after the options in the help. */
function after(command: Command): { exits: string; examples: string } {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  const [, examples = ''] = /\nExamples?:\n([^]*)$/.exec(help) ?? [];
  const [, exits = ''] = /\n(Exit codes: [^]*?)\n\n/.exec(help) ?? [];
  return { exits: exits.replace(/^Exit codes: /, ''), examples: examples.trimEnd() };
}

const block = (text: string): string => `.PP\n.nf\n${text.split('\n').map(roff).join('\n')}\n.fi`;

/** Text as troff takes it: no line begins with a request, and a dash is a dash that can be copied. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');
}

const lowered = (text: string): string => text.replace(/^A /, 'a ');
const withoutStop = (text: string): string => text.replace(/\.$/, '');
