/** config/certificates.schema.json, out of the definition that validates the file. Run with `npm run schema`. */
import { StoreFile } from './schema.ts';

/** For editors: `errorMessage` is what the YAML language server shows. */
export function storeJsonSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'certificates.yaml of mtlsd',
    ...StoreFile,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
