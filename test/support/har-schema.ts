/**
 * What HAR 1.2 requires (http://www.softwareishard.com/blog/har-12-spec/), as a JSON Schema of our own. The importer of
 * Chromium's network panel asks for no more; a name that is not of the format has to begin with `_`.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';

const text = { type: 'string' };
const whole = { type: 'integer' };
const size = { type: 'integer', minimum: -1 };
const ms = { type: 'number', minimum: -1 };
const time = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$' };
const pair = object({ name: text, value: text }, { comment: text });
const cookie = object(
  { name: text, value: text },
  {
    path: text,
    domain: text,
    expires: time,
    httpOnly: { type: 'boolean' },
    secure: { type: 'boolean' },
    comment: text,
  },
);
const list = (items: object): object => ({ type: 'array', items });

const message = { httpVersion: text, cookies: list(cookie), headers: list(pair), headersSize: size, bodySize: size };
const entry = object(
  {
    startedDateTime: time,
    time: { type: 'number', minimum: 0 },
    request: object({
      ...message,
      method: text,
      url: { type: 'string', pattern: '^https?://' },
      queryString: list(pair),
    }),
    response: object({
      ...message,
      status: whole,
      statusText: text,
      content: object({ size: whole, mimeType: { type: 'string', minLength: 1 } }, { compression: whole }),
      redirectURL: text,
    }),
    cache: { type: 'object' },
    timings: object({ send: ms, wait: ms, receive: ms }, { blocked: ms, dns: ms, connect: ms, ssl: ms }),
  },
  { serverIPAddress: text, connection: text, comment: text, pageref: text },
);
const har = object({
  log: object(
    { version: { const: '1.2' }, creator: object({ name: text, version: text }), entries: list(entry) },
    { comment: text },
  ),
});

function object(required: object, optional: object = {}): object {
  return {
    type: 'object',
    required: Object.keys(required),
    properties: { ...required, ...optional },
    patternProperties: { '^_': {} },
    additionalProperties: false,
  };
}

const validate = new Ajv2020({ strict: false }).compile(har);

/** @returns what is wrong with it; empty for nothing */
export function mistakesInHar(archive: unknown): string[] {
  if (validate(archive)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}
