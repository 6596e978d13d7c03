/** The JSON Schemas of both YAML files, out of the definitions that validate them. For editors: they show `errorMessage`. */
import { StoreFile } from '../src/certs/store/schema.ts';
import { SettingsFile } from '../src/settings/schema.ts';

const $schema = 'https://json-schema.org/draft/2020-12/schema';

export function storeJsonSchema(): string {
  return `${JSON.stringify({ $schema, title: 'certificates.yaml of mtlsd', ...StoreFile }, null, 2)}\n`;
}

export function settingsJsonSchema(): string {
  return `${JSON.stringify({ $schema, ...SettingsFile }, null, 2)}\n`;
}
