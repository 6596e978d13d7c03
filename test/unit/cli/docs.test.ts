import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { commandTree } from '../../../src/cli/commands/completion.ts';

describe('docs/cli.md', () => {
  const text = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');

  test('has every command and every option', async () => {
    const untold = [];
    for (const { path, options, subcommands } of await commandTree()) {
      if (subcommands.length === 0 && !text.includes(`\`${path.join(' ')}`)) untold.push(path.join(' '));
      for (const { flags } of options)
        if (!flags.some((flag) => text.includes(flag))) untold.push(`${path.join(' ')} ${flags[0]}`);
    }
    expect(untold).toEqual([]);
  });
});
