/** mtlsd.1, made of what `--help` prints: the same commands, descriptions and options. */
import type { Command } from 'commander';
import { COMMANDS } from '../src/cli/commands.ts';
import { createProgram } from '../src/cli/main.ts';

export async function manPage(version: string): Promise<string> {
  const program = createProgram();
  const sections = [];
  for (const { name, load } of COMMANDS) {
    const command = await load();
    sections.push(
      commandSection(command, name),
      ...command.commands.map((sub) => commandSection(sub, `${name} ${sub.name()}`)),
    );
  }
  return `.TH MTLSD 1 "" "mtlsd ${version}" "User Commands"
.SH NAME
mtlsd \\- local mTLS forward proxy
.SH SYNOPSIS
.B mtlsd
.RB [ \\-\\-home
.IR DIR ]
.I COMMAND
[options]
.SH DESCRIPTION
${roff(program.description())}
.SH OPTIONS
${optionsOf(program)}
.SH COMMANDS
${sections.join('\n')}
.SH EXIT STATUS
0 done, 1 failed, 2 wrong usage.
.SH FILES
.TP
.I ~/.config/mtlsd
The home: mtlsd.yaml, certificates.yaml, the local CA, run.json. Another one is named by
.B \\-\\-home
or the variable MTLSD_HOME. The system service has /var/lib/mtlsd.
`;
}

function commandSection(command: Command, path: string): string {
  const usage = command.usage().replace(/^\[options\] ?/, '');
  return `.SS "mtlsd ${roff(path)} ${roff(usage)}"\n${roff(command.description())}\n${optionsOf(command)}`.trimEnd();
}

function optionsOf(command: Command): string {
  return command.options
    .filter(({ hidden }) => !hidden)
    .map(({ flags, description }) => `.TP\n.B ${roff(flags)}\n${roff(description)}`)
    .join('\n');
}

/** A backslash, a hyphen and a control character at the start of a line mean something to troff (groff(7)). */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replace(/^([.'])/gm, '\\&$1');
}
