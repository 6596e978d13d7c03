/** What schemas are made of: those of the settings, the store, the records and the API. */
import { type Static, type TSchema, type TSchemaOptions, Type } from 'typebox';

/** An unknown field is a mistake, in what comes in and in what goes out. */
export const closed = { additionalProperties: false } as const;

/** The type of a schema, immutable at every depth. */
export type Plain<S extends TSchema> = Immutable<Static<S>>;
type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** A schema for a value whose type is written elsewhere. */
export const shapeOf = <T>(schema: TSchema) => Type.Unsafe<T>(schema);

/** A schema by its `$id`, which is its name in the components of the OpenAPI document. */
export const named = <T extends TSchema>(schema: T) => Type.Unsafe<Plain<T>>({ $ref: `${idOf(schema)}#` });

export const idOf = (schema: TSchema): string => String((schema as { $id?: string }).$id);

export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });

// For what people write. `errorMessage` says what was expected there.

export const text = (description: string, errorMessage: string, options: TSchemaOptions = { minLength: 1 }) =>
  Type.String({ ...options, description, errorMessage });

export const list = <T extends TSchema>(
  items: T,
  description: string,
  errorMessage: string,
  options: TSchemaOptions = {},
) => Type.Optional(Type.Array(items, { ...options, description, errorMessage }));

export const flag = (description: string, fallback?: boolean) =>
  Type.Optional(Type.Boolean({ ...withDefault(fallback), description, errorMessage: 'true or false' }));

export const choice = <T extends string>(
  values: readonly T[],
  description: string,
  fallback?: NoInfer<T>,
  shown = (value: string) => value,
) => {
  const [last = '', ...others] = values.map(shown).reverse();
  const errorMessage = `${others.reverse().join(', ')} or ${last}`;
  return Type.Optional(
    Type.Enum(values as readonly [T, ...T[]], { ...withDefault(fallback), description, errorMessage }),
  );
};

const withDefault = (fallback: unknown): TSchemaOptions => (fallback === undefined ? {} : { default: fallback });
