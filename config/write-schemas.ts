/** Writes the JSON Schemas of this folder from the definitions that validate the files. Run with `npm run schema`. */
import { writeFileSync } from 'node:fs';
import { storeJsonSchema } from '../src/certs/store/json-schema.ts';
import { settingsJsonSchema } from '../src/settings-json-schema.ts';

writeFileSync(new URL('./certificates.schema.json', import.meta.url), storeJsonSchema());
writeFileSync(new URL('./mtlsd.schema.json', import.meta.url), settingsJsonSchema());
