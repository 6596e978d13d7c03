/** Writes the JSON Schemas of this folder and of the log from the definitions in the code. Run with `npm run schema`. */
import { writeFileSync } from 'node:fs';
import { logEventsJsonSchema } from '../src/admin/schemas/log-events.ts';
import { storeJsonSchema } from '../src/certs/store/json-schema.ts';
import { settingsJsonSchema } from '../src/settings-json-schema.ts';

writeFileSync(new URL('./certificates.schema.json', import.meta.url), storeJsonSchema());
writeFileSync(new URL('./mtlsd.schema.json', import.meta.url), settingsJsonSchema());
writeFileSync(new URL('../docs/log-events.schema.json', import.meta.url), logEventsJsonSchema());
