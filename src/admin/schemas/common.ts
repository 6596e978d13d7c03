/** What all schemas of the admin API are made of. */
import { Type } from 'typebox';
import { named } from '../../core/schema.ts';

export { closed, flag, named, nullable, shapeOf, text, Time } from '../../core/schema.ts';

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: '`urn:mtlsd:admin:` and the code; a name, not a place to fetch.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'One sentence: what is wrong.' }),
    code: Type.String({ description: 'Stable; branch on this and never on the text.' }),
    hint: Type.String({ description: 'What to do next.' }),
    problems: Type.Optional(
      Type.Array(Type.Unknown(), { description: 'Each thing found wrong: diagnoses of files, or mistakes of fields.' }),
    ),
  },
  { $id: 'Problem', description: 'An error as RFC 9457 has it.' },
);

const refusal = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: named(ProblemSchema) } },
});

/** For every route: what the client got wrong, and anything else. */
export const failures = {
  '4xx': refusal('What was asked for can not be done; `code` says why.'),
  default: refusal('Anything else that went wrong.'),
};

export const Authority = Type.String({
  minLength: 1,
  maxLength: 300,
  description: '`HOST:PORT`, or HOST alone for port 443.',
  errorMessage: 'HOST:PORT',
});

/** Preconditions of a change (RFC 9110 §13.1). */
export const WriteHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: 'The ETag that was read; 412 where the thing has changed since. `*`: it must exist.' }),
  ),
  'if-none-match': Type.Optional(Type.String({ description: '`*`: it must not exist yet.' })),
});
