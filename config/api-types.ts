/** The page's types of the admin API, made from its OpenAPI document: one type a component, one entry an operation. */

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: Schema }>> }>>;
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** TypeScript text. Long lines and all: no formatter is asked, so that a test can compare it. */
export function apiTypes({ paths, components }: OpenApi): string {
  const types = Object.entries(components.schemas).map(
    ([name, schema]) => `export type ${name} = ${typeOf(schema)};\n`,
  );
  const operations = Object.entries(paths)
    .filter(([path]) => path.startsWith('/api/'))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const places = operations.map(
    ({ path, method, operation }) => `  ${operation.operationId}: ['${method.toUpperCase()}', '${path}'],\n`,
  );
  const shapes = operations.map(
    ({ operation }) =>
      `  ${operation.operationId}: { ${parametersOf(operation)}body: ${bodyOf(operation)}; answer: ${answerOf(operation)} };\n`,
  );
  return `/** Made by \`npm run schema\` from the OpenAPI document; not to be edited. */
${types.join('')}
/** Method and path of each operation. */
export const OPERATIONS = {
${places.join('')}} as const;

export interface Operations {
${shapes.join('')}}
`;
}

function parametersOf({ parameters = [] }: Operation): string {
  return ['path', 'query']
    .map((place) => {
      const fields = parameters.filter((parameter) => parameter.in === place);
      if (fields.length === 0) return `${place}?: undefined; `;
      const optional = place === 'query' ? '?' : '';
      return `${place}${optional}: { ${fields.map(({ name, schema }) => `${name}${optional}: ${typeOf(schema)}`).join('; ')} }; `;
    })
    .join('');
}

function bodyOf({ requestBody }: Operation): string {
  const schema = requestBody?.content['application/json']?.schema;
  return schema ? typeOf(schema) : 'undefined';
}

function answerOf({ responses }: Operation): string {
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith('2')) ?? [];
  const schema = success?.content?.['application/json']?.schema;
  return schema ? typeOf(schema) : 'undefined';
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.split('/').at(-1) ?? 'unknown';
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map((each) => `(${typeOf(each)})`).join(' | ');
  if (schema.type === 'array') return `readonly (${schema.items ? typeOf(schema.items) : 'unknown'})[]`;
  if (schema.type === 'object') return objectOf(schema);
  if (schema.type === 'integer') return 'number';
  return schema.type && ['string', 'number', 'boolean', 'null'].includes(schema.type) ? schema.type : 'unknown';
}

function objectOf({ properties = {}, required = [] }: Schema): string {
  const fields = Object.entries(properties).map(
    ([name, schema]) => `readonly ${name}${required.includes(name) ? '' : '?'}: ${typeOf(schema)}`,
  );
  return `{ ${fields.join('; ')} }`;
}
