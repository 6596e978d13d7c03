/** certificates.yaml: read, and changed by program; what was written must read as what was meant. */
import { isDeepStrictEqual } from 'node:util';
import { readFileSync } from 'node:fs';
import { editText } from '../../src/certs/store/edit-text.ts';
import type { StoreEdit } from '../../src/certs/store/edit-value.ts';
import { parseStore } from '../../src/certs/store/parse.ts';
import { CodedError } from '../../src/core/errors.ts';
import { mutate } from '../mutate.ts';
import { allowing, type Surface } from '../surface.ts';

const FILE = 'certificates.yaml';

const TOKENS = [
  ...['version: 1\n', 'certificates:\n', '  - ', '    ', 'name: ', 'host: ', 'port: ', 'cert: a.crt\n', 'key: a.key\n'],
  ...[
    'pfx: ',
    'passphrase: { env: A }\n',
    'trust:\n',
    'verification:\n',
    'rules:\n',
    'interception:\n',
    'mode: report',
  ],
  ...[
    '&a ',
    '*a',
    '<<: *a\n',
    '!!str ',
    '? ',
    '|\n',
    '>-\n',
    '---\n',
    '...\n',
    '# ',
    '"',
    "'",
    '{ ',
    ' }',
    '[',
    ']',
    ', ',
  ],
  ...[
    '*.example',
    '"*"',
    '::1',
    '1e400',
    '0x1F',
    '.inf',
    '~',
    'null',
    'yes',
    '\t',
    '\r\n',
    '\u2028',
    '__proto__: ',
    '\0',
  ],
].map((text) => Buffer.from(text));

const SEEDS = [
  readFileSync(new URL('../../config/certificates.example.yaml', import.meta.url)),
  Buffer.from(`version: 1
certificates:
  - name: a
    host: [a.example, "*.b.example"]
    port: 8443
    cert: a.crt
    key: a.key # the key
  - { host: c.example, pfx: c.pfx, passphrase: { env: C } }
trust: { system: false, ca: [root.pem] }
verification:
  mode: enforce
  rules:
    - { host: d.example, mode: report }
`),
  Buffer.from('version: 1\ncertificates:\n- name: a\n  host: a.example\n  cert: a\n  key: b\n  enabled: false\n'),
];

const EDITS: readonly StoreEdit[] = [
  { do: 'set-mode', mode: 'report' },
  { do: 'add-certificate', certificate: { name: 'new', host: 'new.example', cert: 'new.crt', key: 'new.key' } },
  { do: 'remove-certificate', name: 'a' },
  { do: 'put-rule', rule: { host: 'e.example', mode: 'report' } },
];

export const certificatesYaml: Surface = {
  name: 'certificates-yaml',
  share: 1,
  open: async () => ({
    make: (random) => mutate(random, { seeds: SEEDS, tokens: TOKENS }),
    check(bytes) {
      const text = bytes.toString();
      const outcome = parseStore(text, FILE);
      if (!outcome.ok) {
        if (outcome.problems.length === 0) throw new Error('refused without a problem');
        return;
      }
      for (const edit of EDITS) {
        const edited = allowing([CodedError], () => editText(text, edit, FILE));
        if (edited && !isDeepStrictEqual(parseStore(edited.text, FILE), { ok: true, store: edited.store }))
          throw new Error(`${edit.do} wrote what reads otherwise`);
      }
    },
  }),
};
