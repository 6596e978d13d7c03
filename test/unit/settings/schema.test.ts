import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import { settingsJsonSchema } from '../../../config/json-schemas.ts';
import { withDefaults } from '../../../src/core/validate.ts';
import { SettingsFile } from '../../../src/settings/schema.ts';

const config = (name: string): string => readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8');

describe('config/mtlsd.schema.json', () => {
  test('is what the definition makes (npm run schema)', () => {
    expect(config('mtlsd.schema.json')).toBe(settingsJsonSchema());
  });

  test('takes the commented example, as it is and with every default spelled out', () => {
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(settingsJsonSchema()) as object);
    const example = config('mtlsd.example.yaml');
    // Lines such as `# limits:` and `#   records: 2000` are settings; prose has no colon after its first word.
    const spelled = example.replace(/^# ( *)((?:- )?"?[a-z_.:0-9]+"?:(?: |$))/gm, '$1$2');
    for (const text of [example, spelled]) {
      expect([validate(parse(text) ?? {}), validate.errors]).toEqual([true, null]);
    }
    expect(Object.keys(parse(spelled) as object).sort()).toEqual(
      Object.keys((JSON.parse(settingsJsonSchema()) as { properties: object }).properties).sort(),
    );
    expect(validate({ listen: 5 })).toBe(false);
    expect(validate({ unknown: true })).toBe(false);
    expect(parse(spelled)).toMatchObject(withDefaults(SettingsFile, {}) as object);
  });
});
