/** Writes the JSON Schemas of this folder and of the log, and the page's types of the API, from the definitions in the code. Run with `npm run schema`. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logEventsJsonSchema } from '../src/admin/schemas/log-events.ts';
import { filesApi } from '../src/cli/api/files.ts';
import { apiTypes, type OpenApi } from './api-types.ts';
import { settingsJsonSchema, storeJsonSchema } from './json-schemas.ts';

writeFileSync(new URL('./certificates.schema.json', import.meta.url), storeJsonSchema());
writeFileSync(new URL('./mtlsd.schema.json', import.meta.url), settingsJsonSchema());
writeFileSync(new URL('../docs/log-events.schema.json', import.meta.url), logEventsJsonSchema());

const api = await filesApi(mkdtempSync(join(tmpdir(), 'mtlsd-schema-')));
const { body } = await api.call<OpenApi>('GET', '/openapi.json');
await api.close();
writeFileSync(new URL('../ui/api/document.ts', import.meta.url), apiTypes(body));
