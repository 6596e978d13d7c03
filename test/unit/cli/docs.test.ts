import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commandTree } from '../../../src/cli/command-tree.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';

describe('docs/cli.md', async () => {
  const text = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  const nodes = await commandTree(COMMANDS);

  test('has every command and every option', () => {
    const untold = [];
    for (const { path, options, subcommands } of nodes) {
      if (subcommands.length === 0 && !text.includes(`\`${path.join(' ')}`)) untold.push(path.join(' '));
      for (const { flags } of options)
        if (!flags.some((flag) => text.includes(flag))) untold.push(`${path.join(' ')} ${flags[0]}`);
    }
    expect(untold).toEqual([]);
  });

  test('has no command and no option that does not exist', () => {
    const known = new Set(
      nodes.flatMap(({ path, choices }) => [path, ...choices.map((one) => [...path, one])].map(String)),
    );
    const flags = new Set(nodes.flatMap(({ options }) => options.flatMap((option) => option.flags)));
    const [overview = ''] = text.split('\n## ');
    const commands = [...overview.matchAll(/^\| `([a-z]+)(?: ([a-z]+))?/gm)].map(([, ...words]) =>
      String(words.filter(Boolean)),
    );
    const options = [...text.matchAll(/--[a-z][a-z-]*/g)].map(([flag]) => flag);
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter((name) => !known.has(name))).toEqual([]);
    for (const flag of ['--help', '--version', '--home']) flags.add(flag);
    expect(options.filter((flag) => !flags.has(flag))).toEqual([]);
  });
});
