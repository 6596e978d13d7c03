/** Every line that a daemon under test logs is held to docs/log-events.schema.json as it comes. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema(
  JSON.parse(readFileSync(new URL('../../docs/log-events.schema.json', import.meta.url), 'utf8')) as object,
  'log',
);

/** Compiled at an event's first line: most tests see four of them. */
const validators = new Map<string, ValidateFunction>();

/** What is wrong with a line; null where it fits. */
export function mistakeInLine(line: { readonly event: string }): string | null {
  let validate = validators.get(line.event);
  if (!validate) {
    try {
      validate = ajv.compile({ $ref: `log#/$defs/${line.event}` });
    } catch {
      return `the event ${line.event} is not in docs/log-events.schema.json`;
    }
    validators.set(line.event, validate);
  }
  const { event } = line;
  return validate(line) ? null : ajv.errorsText(validate.errors, { dataVar: event });
}
