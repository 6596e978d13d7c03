/** Holds a value to a TypeBox schema and tells every mistake with its path, what is wrong and what was expected. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';
import type { TLocalizedValidationError } from 'typebox/error';

export interface Mistake {
  readonly path: readonly (string | number)[];
  /** Whether the place is the key of the last path segment rather than its value. */
  readonly atKey: boolean;
  readonly message: string;
  readonly expected: string;
}

/** Every mistake of a value; none where it fits. `errorMessage` in a schema says what was expected there. */
export type Validate = (value: unknown) => Mistake[];

type Schema = Readonly<Record<string, unknown>>;

export function validatorFor(schema: TSchema): Validate {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return [];
    const errors = allErrors(() => validator.Errors(value));
    const choices = errors.filter(({ keyword }) => keyword === 'anyOf').map(({ schemaPath }) => `${schemaPath}/anyOf/`);
    const mistakes = new Map<string, Mistake>();
    for (const error of errors) {
      // What a branch of a choice says is noise beside "expected one of these".
      if (choices.some((choice) => error.schemaPath.startsWith(choice))) continue;
      for (const mistake of mistakesOf(error, schema as Schema, value)) {
        const key = `${mistake.path.join('/')} ${mistake.atKey}`;
        if (!mistakes.has(key)) mistakes.set(key, mistake);
      }
    }
    return [...mistakes.values()];
  };
}

/** TypeBox stops at eight errors; whoever mends a file wants to see all of its mistakes. */
function allErrors(find: () => TLocalizedValidationError[]): TLocalizedValidationError[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: 1000 });
  try {
    return find();
  } finally {
    Settings.Set({ maxErrors });
  }
}

function mistakesOf(error: TLocalizedValidationError, root: Schema, value: unknown): Mistake[] {
  const schema = schemaAt(root, error.schemaPath);
  const path = pathOf(error.instancePath, value);
  switch (error.keyword) {
    case 'boolean':
      return []; // repeats additionalProperties
    case 'additionalProperties': {
      const known = Object.keys((schema.properties as object | undefined) ?? {});
      return error.params.additionalProperties.map((key) => ({
        path: [...path, key],
        atKey: true,
        message: `${show(key)} is not known here`,
        expected: `one of ${known.join(', ')}`,
      }));
    }
    case 'required':
      return error.params.requiredProperties.map((key) => ({
        path,
        atKey: false,
        message: `${key} is missing`,
        expected: key,
      }));
    default: {
      const what = path.length === 0 ? 'the file' : String(path.at(-1));
      const expected = typeof schema.errorMessage === 'string' ? schema.errorMessage : 'another value';
      return [{ path, atKey: false, message: `${what} is ${describe(valueAt(value, path))}`, expected }];
    }
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? show(value) : String(value as number | boolean);
}

function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** `#/properties/a/items` -> that part of the schema. */
function schemaAt(root: Schema, pointer: string): Schema {
  let at: unknown = root;
  for (const part of pointer.split('/').slice(1)) at = (at as Record<string, unknown> | undefined)?.[unescape(part)];
  return (at ?? {}) as Schema;
}

function pathOf(pointer: string, root: unknown): (string | number)[] {
  let at: unknown = root;
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const key = Array.isArray(at) ? Number(part) : unescape(part);
      at = (at as Record<string | number, unknown> | null | undefined)?.[key];
      return key;
    });
}

function valueAt(root: unknown, path: readonly (string | number)[]): unknown {
  let at = root;
  for (const part of path) at = (at as Record<string | number, unknown> | null | undefined)?.[part];
  return at;
}

/** RFC 6901 §4. */
function unescape(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
