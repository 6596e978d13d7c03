/** What all schemas of the admin API are made of. */
import { type Static, type TSchema, Type } from 'typebox';

/** An unknown field is a mistake, in what comes in and in what goes out. */
export const closed = { additionalProperties: false } as const;

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/**
 * A schema for a value whose type stands elsewhere: records and facts are the inspecting room's, and the log shows them as
 * the API does. That the two agree is held by the test that checks every response against the document.
 */
export const shapeOf = <T>(schema: TSchema) => Type.Unsafe<T>(schema);

/** A response by its name in the document's components. */
export const named = <T extends TSchema>(schema: T) => Type.Unsafe<Static<T>>({ $ref: `${idOf(schema)}#` });

function idOf(schema: TSchema): string {
  return String((schema as { $id?: string }).$id);
}

export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });

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

/** For anybody who writes: the ETag of what was read, or `*` for whatever is there. */
export const WriteHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: 'The ETag that was read; 412 where the thing has changed since. `*`: it must exist.' }),
  ),
  'if-none-match': Type.Optional(Type.String({ description: '`*`: it must not exist yet.' })),
});
