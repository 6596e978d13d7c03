/** Holds parameters, queries and bodies to their schemas; every mistake is reported, with what was expected. */
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { type Mistake, validatorFor } from '../core/validate.ts';
import { AdminError } from './problem.ts';

export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  // Compiled at the first request: most commands and tests use a few routes of forty.
  let validate: ReturnType<typeof validatorFor> | null = null;
  // Header fields that no route knows are everybody's right.
  const isText = httpPart !== 'body';
  return (value: unknown) => {
    // A query is text alone; a body says itself what is a number.
    const wanted = isText ? Value.Default(schema, Value.Convert(schema, value)) : value;
    validate ??= validatorFor(schema);
    const mistakes = validate(wanted);
    return mistakes.length === 0 ? { value: wanted } : { error: refusal(mistakes, httpPart ?? 'body') };
  };
};

/** A mistake quotes the value, which for these may be a secret. */
const UNQUOTED = new Set(['passphrase', 'cert_pem', 'key_pem', 'pfx_base64']);

function refusal(mistakes: readonly Mistake[], part: string): AdminError {
  const problems = mistakes.map(({ path, message, expected }) => ({
    field: path.join('.'),
    message: UNQUOTED.has(String(path[0]))
      ? `${path.join('.')} is something else`
      : path.length === 0
        ? message.replace(/^the file is/, 'it is')
        : message,
    expected,
  }));
  const sentence = problems.map(({ message, expected }) => `${message}; expected ${expected}`).join('; ');
  return new AdminError(
    'BAD_REQUEST',
    `the ${part === 'querystring' ? 'query' : part} is invalid: ${sentence}`,
    'GET /openapi.json says what this route takes',
    { problems },
  );
}
