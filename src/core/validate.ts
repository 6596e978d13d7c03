/** Checks a value against a TypeBox schema: every mistake with its path, what is wrong and what was expected. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/schema';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';

export type Path = readonly (string | number)[];

export interface Mistake {
  readonly path: Path;
  /** Whether the place is the key of the last path segment rather than its value. */
  readonly atKey: boolean;
  readonly message: string;
  readonly expected: string;
}

/** Every mistake of a value; none where it fits. `errorMessage` in a schema says what was expected there. */
export type Validate = (value: unknown) => Mistake[];

/** Messages of one file that are better than the general ones. */
export interface Wording {
  /** What an empty file should hold; without it an empty file is a mistake like any other. */
  readonly empty?: string;
  /** A mistake of a keyword that relates fields to each other; undefined for the general words. */
  readonly relation?: (keyword: string, path: Path, value: object) => Mistake | undefined;
  /** What to write instead, for the mistakes that people make most. */
  readonly expected?: (path: Path, value: unknown, expected: string) => string;
  /** Behind the list of known keys: `(cert?)`. */
  readonly nearest?: (key: string, known: readonly string[]) => string;
  /** Fields whose value, or a value in them, may be a secret: only its kind is reported. */
  readonly secret?: ReadonlySet<string>;
}

type Schema = Readonly<Record<string, unknown>>;

export function validatorFor(schema: TSchema, wording: Wording = {}): Validate {
  const validator = Compile(schema);
  return (value) => {
    if (validator.Check(value)) return [];
    if (wording.empty !== undefined && (value === null || value === undefined))
      return [{ path: [], atKey: false, message: 'the file is empty', expected: wording.empty }];
    const errors = allErrors(() => validator.Errors(value)[1]);
    // Mistakes of the branches of a choice are noise beside "expected one of these".
    const branches = errors.flatMap(({ keyword, schemaPath }) =>
      keyword === 'anyOf' || keyword === 'oneOf' ? [`${schemaPath}/anyOf/`, `${schemaPath}/oneOf/`] : [],
    );
    const mistakes = new Map<string, Mistake>();
    for (const error of errors) {
      if (branches.some((branch) => error.schemaPath.startsWith(branch))) continue;
      for (const mistake of mistakesOf(error, schema as Schema, value, wording)) {
        const key = `${mistake.path.join('/')} ${mistake.atKey}`;
        if (!mistakes.has(key)) mistakes.set(key, mistake);
      }
    }
    return [...mistakes.values()];
  };
}

/** A copy of the value with `default` of the schema where it says nothing; into objects that are there, or have a default. */
export function withDefaults(schema: TSchema, value: unknown): unknown {
  const { properties } = schema as { properties?: Readonly<Record<string, TSchema>> };
  if (properties === undefined || typeof value !== 'object' || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [key, property] of Object.entries(properties)) {
    const given = filled[key] ?? (property as Schema).default;
    if (given !== undefined) filled[key] = withDefaults(property, given);
  }
  return filled;
}

/** TypeBox stops at eight errors, by a setting of the whole process; a user who fixes a file needs all mistakes. */
function allErrors(find: () => TLocalizedValidationError[]): TLocalizedValidationError[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: 1000 });
  try {
    return find();
  } finally {
    Settings.Set({ maxErrors });
  }
}

function mistakesOf(error: TLocalizedValidationError, root: Schema, whole: unknown, wording: Wording): Mistake[] {
  const schema = schemaAt(root, error.schemaPath);
  const path = pathOf(error.instancePath, whole);
  const value = valueAt(whole, path);
  if (error.keyword === 'boolean') return []; // repeats additionalProperties
  if (error.keyword === 'additionalProperties') {
    const known = Object.keys((schema.properties as object | undefined) ?? {});
    return error.params.additionalProperties.map((key) => ({
      path: [...path, key],
      atKey: true,
      message: `${show(key)} is not known here`,
      expected: `one of ${known.join(', ')}${wording.nearest?.(key, known) ?? ''}`,
    }));
  }
  if (error.keyword === 'required') {
    return error.params.requiredProperties.map((key) => ({
      path,
      atKey: false,
      message: `${key} is missing`,
      expected: expectedOf(propertySchema(schema, key), key),
    }));
  }
  if (error.keyword === 'dependentRequired' || error.keyword === 'oneOf') {
    // A value that is no mapping has its own mistake.
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    const mistake = wording.relation?.(error.keyword, path, value);
    if (mistake) return [mistake];
  }
  const expected = expectedOf(schema, 'another value');
  const what = path.length === 0 ? 'the file' : label(path);
  const is = path.some((key) => wording.secret?.has(String(key))) ? kindOf(value) : describe(value);
  return [
    {
      path,
      atKey: false,
      message: `${what} is ${is}`,
      expected: wording.expected?.(path, value, expected) ?? expected,
    },
  ];
}

function expectedOf(schema: Schema, otherwise: string): string {
  return typeof schema.errorMessage === 'string' ? schema.errorMessage : otherwise;
}

function label(path: Path): string {
  const last = path.at(-1);
  return typeof last === 'number' ? `item ${last + 1} of ${path.at(-2) ?? 'the list'}` : String(last);
}

function describe(value: unknown): string {
  if (typeof value === 'string' && /[\r\n]/.test(value))
    return `text of ${value.trimEnd().split(/\r?\n/).length} lines`;
  if (typeof value === 'string') return show(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const keys = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
  return keys.length > 0 ? `a mapping with ${keys.slice(0, 5).map(show).join(', ')}` : kindOf(value);
}

/** Nothing of the value itself, which may be a passphrase that lacks its quotes. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

/** Capped and escaped. */
function show(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function propertySchema(schema: Schema, key: string): Schema {
  return ((schema.properties as Record<string, Schema> | undefined) ?? {})[key] ?? {};
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

export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce((at: unknown, part) => (at as Record<string | number, unknown> | null | undefined)?.[part], root);
}

/** RFC 6901 §4. */
function unescape(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}
