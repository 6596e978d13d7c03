import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { manPage } from '../../../config/man-page.ts';
import { commandTree } from '../../../src/cli/command-tree.ts';
import { COMMANDS } from '../../../src/cli/commands.ts';
import { hasTool } from '../../support/tools.ts';

describe('the man page', () => {
  let page = '';
  beforeAll(async () => {
    page = await manPage();
  });

  test('has every command, every option and the examples', async () => {
    const plain = page.replaceAll('\\-', '-').replaceAll('\\e', '\\').replaceAll('\\&', '');
    for (const { path, options } of await commandTree(COMMANDS)) {
      expect(plain).toContain(`.SS mtlsd ${path.join(' ')}`);
      for (const { flags } of options) expect(plain, path.join(' ')).toContain(flags[0]);
    }
    expect(plain).toContain('mtlsd cert add api.partner.example --pfx partner.p12');
    expect(plain).toMatch(/\.SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage/);
  });

  test.runIf(hasTool('groff'))('is troff without a warning', () => {
    const shown = execFileSync('groff', ['-man', '-Tascii', '-ww', '-z'], {
      input: page,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(shown).toBe('');
  });
});
