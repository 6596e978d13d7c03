/** mtlsd.yaml: settings, or BAD_CONFIGURATION with the place. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MtlsdError } from '../../src/core/errors.ts';
import { loadSettings } from '../../src/settings/load.ts';
import { mutate } from '../mutate.ts';
import type { Surface } from '../surface.ts';

const TOKENS = [
  ...['listen: ', 'admin: ', 'unix:', '127.0.0.1:0', '[::1]:99999', 'auth: { password: { env: A } }\n', 'timeouts:\n'],
  ...[
    '  connect: ',
    '10s',
    '999999999999h',
    'limits:\n',
    '  records: ',
    '-1',
    '1e9',
    '.nan',
    'socks: ',
    'listeners:\n',
  ],
  ...['  - ', 'to: https://', 'upstream_proxy:\n', 'url: ', 'http://a:b@', 'no_proxy: ', 'connect_to:\n', '"*": '],
  ...['&a ', '*a', '|\n', '---\n', '# ', '"', "'", '{ ', ' }', '[', ']', ', ', ': ', '\t', '\0', '__proto__: '],
].map((text) => Buffer.from(text));

export const settingsYaml: Surface = {
  name: 'settings-yaml',
  share: 1,
  async open() {
    const home = mkdtempSync(join(tmpdir(), 'mtlsd-fuzz-'));
    const example = readFileSync(new URL('../../config/mtlsd.example.yaml', import.meta.url), 'utf8');
    const spelled = example.replace(/^# ( *)((?:- )?"?[a-z_.:0-9]+"?:(?: |$))/gm, '$1$2');
    const seeds = [example, spelled, ...spelled.split(/\n\n+/)].map((text) => Buffer.from(text));
    return {
      make: (random) => mutate(random, { seeds, tokens: TOKENS }),
      async check(bytes) {
        writeFileSync(join(home, 'mtlsd.yaml'), bytes);
        try {
          await loadSettings({ home }, {});
        } catch (error) {
          if (!(error instanceof MtlsdError)) throw error;
        }
      },
      async close() {
        rmSync(home, { recursive: true });
      },
    };
  },
};
