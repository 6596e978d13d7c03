/** config/mtlsd.schema.json, out of the definition that validates the file. Run with `npm run schema`. */
import { SettingsFile } from './settings.ts';

/** For editors: `errorMessage` is what the YAML language server shows. */
export function settingsJsonSchema(): string {
  const schema = { $schema: 'https://json-schema.org/draft/2020-12/schema', ...SettingsFile };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
