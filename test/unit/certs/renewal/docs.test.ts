import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RENEWAL_FAULTS } from '../../../../src/certs/renewal/fault.ts';
import { parseStore } from '../../../../src/certs/store/parse.ts';

describe('docs/renewal.md', () => {
  const text = readFileSync(new URL('../../../../docs/renewal.md', import.meta.url), 'utf8');

  test('lists every code and no other', () => {
    const [, table = ''] = text.split('## Why a renewal failed');
    const told = new Set([...table.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code));
    expect(told).toEqual(new Set(Object.keys(RENEWAL_FAULTS)));
  });

  const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml);

  test('has an example for each kind', () => {
    const kinds = examples.join('').match(/\b(?:est|step|command|env):/g);
    expect(new Set(kinds)).toEqual(new Set(['est:', 'step:', 'command:', 'env:']));
  });

  test.each(examples)('the example is a store: %#', (yaml) => {
    expect(parseStore(yaml, 'certificates.yaml')).toMatchObject({ ok: true });
  });
});
