/** Writes the JSON Schemas of this folder and of the log from the definitions in the code. Run with `npm run schema`. */
import { writeFileSync } from 'node:fs';
import { logEventsJsonSchema } from '../src/admin/schemas/log-events.ts';
import { settingsJsonSchema, storeJsonSchema } from './json-schemas.ts';

writeFileSync(new URL('./certificates.schema.json', import.meta.url), storeJsonSchema());
writeFileSync(new URL('./mtlsd.schema.json', import.meta.url), settingsJsonSchema());
writeFileSync(new URL('../docs/log-events.schema.json', import.meta.url), logEventsJsonSchema());
