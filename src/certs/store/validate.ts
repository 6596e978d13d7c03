/** Holds a value to the schema and tells every mistake with its path, what is wrong and what was expected. */
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import { type CertificateFields, CertificateSchema, StoreFile } from './schema.ts';

export interface Mistake {
  readonly path: readonly (string | number)[];
  /** Whether the place is the key of the last path segment rather than its value. */
  readonly atKey: boolean;
  readonly message: string;
  readonly expected: string;
}

type Schema = Readonly<Record<string, unknown>>;

const validator = Compile(StoreFile);
const certificate = Compile(CertificateSchema);

/** Whether an entry is valid, without telling why not. */
export function isCertificate(value: unknown): value is CertificateFields {
  return certificate.Check(value);
}

/** Every mistake of the value; none where it is a `StoreFile`. */
export function validateStore(value: unknown): Mistake[] {
  if (validator.Check(value)) return [];
  const errors = allErrors(value);
  const branched = errors.filter((e) => e.keyword === 'anyOf' || e.keyword === 'oneOf').map((e) => e.schemaPath);
  const mistakes = new Map<string, Mistake>();
  for (const error of errors) {
    // What a branch of a choice says is noise beside "expected one of these".
    if (branched.some((path) => error.schemaPath.startsWith(`${path}/anyOf/`))) continue;
    if (branched.some((path) => error.schemaPath.startsWith(`${path}/oneOf/`))) continue;
    for (const mistake of mistakesOf(error, value)) {
      const key = `${mistake.path.join('/')} ${mistake.atKey}`;
      if (!mistakes.has(key)) mistakes.set(key, mistake);
    }
  }
  return [...mistakes.values()];
}

/** TypeBox stops at 8 errors by a setting of the whole process; all are wanted here, and the setting stays as it was. */
function allErrors(value: unknown): TLocalizedValidationError[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: 1000 });
  try {
    return validator.Errors(value);
  } finally {
    Settings.Set({ maxErrors });
  }
}

function mistakesOf(error: TLocalizedValidationError, root: unknown): Mistake[] {
  const schema = schemaAt(error.schemaPath);
  const path = pathOf(error.instancePath, root);
  const value = valueAt(root, path);
  const expected = expectedOf(schema, 'another value');
  const what = path.length === 0 ? 'the file' : label(path);
  if (error.keyword === 'boolean') return []; // repeats additionalProperties
  if (error.keyword === 'additionalProperties') {
    const known = Object.keys((schema['properties'] as object | undefined) ?? {});
    return error.params.additionalProperties.map((key) => ({
      path: [...path, key],
      atKey: true,
      message: `${show(key)} is not known here`,
      expected: `one of ${known.join(', ')}${nearest(key, known)}`,
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
  // A value that is no mapping at all has been told as such.
  const isMapping = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMapping && ['dependentRequired', 'oneOf'].includes(error.keyword)) return [];
  if (error.keyword === 'dependentRequired') return [dependent(path, value as object)];
  if (error.keyword === 'oneOf') return [eitherOr(path, value as object)];
  const message = `${what} is ${path.at(-1) === 'passphrase' ? kindOf(value) : describe(value)}`;
  return [{ path, atKey: false, message, expected: hinted(path, value, expected) }];
}

function expectedOf(schema: Schema, otherwise: string): string {
  return typeof schema['errorMessage'] === 'string' ? schema['errorMessage'] : otherwise;
}

function dependent(path: Mistake['path'], entry: object): Mistake {
  return 'key' in entry && !('cert' in entry)
    ? { path: [...path, 'key'], atKey: true, message: 'key goes with cert', expected: 'cert beside key, or pfx alone' }
    : { path: [...path, 'alias'], atKey: true, message: 'alias goes with pfx', expected: 'pfx beside alias' };
}

function eitherOr(path: Mistake['path'], entry: object): Mistake {
  const expected = 'either cert (with key), or pfx';
  if ('cert' in entry) return { path: [...path, 'pfx'], atKey: true, message: 'cert and pfx are both given', expected };
  return { path, atKey: false, message: 'neither cert nor pfx is given', expected };
}

/** For the mistakes that people make most, what to write instead. */
function hinted(path: readonly (string | number)[], value: unknown, expected: string): string {
  const last = path.at(-1);
  if (last === 'host' && typeof value === 'string') {
    const url = /^[a-z]+:\/\/([^/:?#]+)/i.exec(value);
    if (url) return `the host alone: ${url[1]}`;
    const withPort = /^([^:[\]]+):(\d+)$/.exec(value);
    if (withPort) return `host: ${withPort[1]} and, on its own line, port: ${withPort[2]}`;
    if (/^\*[^.]/.test(value)) return 'a "*" only alone or as the first label, as in "*.corp.example"';
  }
  if (typeof value === 'string' && value.includes('-----BEGIN '))
    return `${expected}; put the PEM text into a file of its own`;
  if (last === 'port' && typeof value === 'string' && /^\d+$/.test(value)) return `the number without quotes: ${value}`;
  return expected;
}

function label(path: readonly (string | number)[]): string {
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

function nearest(key: string, known: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z]/g, '');
  const aliases: Record<string, string> = {
    certificate: 'cert',
    crt: 'cert',
    p12: 'pfx',
    pkcs: 'pfx',
    password: 'passphrase',
    certs: 'certificates',
    hostname: 'host',
  };
  const wanted = plain(key);
  const match = known.find(
    (k) => plain(k) === wanted || aliases[wanted] === k || plain(k).startsWith(wanted) || `${plain(k)}s` === wanted,
  );
  return match ? ` (${match}?)` : '';
}

function propertySchema(schema: Schema, key: string): Schema {
  return ((schema['properties'] as Record<string, Schema> | undefined) ?? {})[key] ?? {};
}

/** `#/properties/a/items` -> that part of the schema. */
function schemaAt(pointer: string): Schema {
  let at: unknown = StoreFile;
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
