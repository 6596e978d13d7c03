/**
 * The text of certificates.yaml -> checked plain data, or every mistake with its place. Pure; runs in a thread of its own
 * for all but small files, because parsing 10,000 entries takes about a second.
 */
import { type Document, LineCounter, parseDocument } from 'yaml';
import { offsetOf } from '../../core/yaml-places.ts';
import { FileCompiler } from './compile-file.ts';
import type { ParseOutcome, Place, StoreProblem } from './parsed.ts';
import type { StoreFile } from './schema.ts';
import type { Mistake } from '../../core/validate.ts';
import { validateStore } from './validate.ts';
import { danglingAlias, danglingAliases, tellCostly, tellYamlError } from './yaml-mistakes.ts';

/** A mistake on every line of a broken file helps nobody. */
const maxProblems = 50;
/** Enough for a defaults block used by every one of forty entries, far below what a bomb needs. */
const maxAliases = 1000;

/** YAML 1.2 core only: no merge keys, no timestamps, no "yes" that turns into true. */
export const yamlOptions = {
  version: '1.2',
  schema: 'core',
  merge: false,
  strict: true,
  prettyErrors: false,
  // It would print warnings to the console; they are in `document.warnings`.
  logLevel: 'error',
} as const;

type Path = readonly (string | number)[];

/** A file as YAML, before anything is known of its meaning. */
export interface Yaml {
  readonly ok: true;
  readonly document: Document;
  readonly value: unknown;
  readonly placeOf: (path: Path, atKey?: boolean) => Place;
}

interface Broken {
  readonly ok: false;
  readonly problems: readonly StoreProblem[];
}

/** @param file goes into the problems as it is */
export function readYaml(text: string, file: string): Yaml | Broken {
  const lines = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { ...yamlOptions, lineCounter: lines });
    const broken = [...document.errors, ...document.warnings];
    const problems = broken.map((error) => ({ file, ...at(error.pos[0]), ...tellYamlError(error) }));
    const dangling = problems.length > 0 ? [] : danglingAliases(document);
    for (const offset of dangling) problems.push({ file, ...at(offset), ...danglingAlias });
    if (problems.length > 0) return { ok: false, problems };
    const value: unknown = document.toJS({ maxAliasCount: maxAliases });
    return { ok: true, document, value, placeOf: (path, atKey = false) => at(offsetOf(document, path, atKey)) };
  } catch (error) {
    return { ok: false, problems: [{ file, line: 1, column: 1, ...tellCostly(error, maxAliases) }] };
  }
}

/** @param file goes into the problems as it is */
export function parseStore(text: string, file: string): ParseOutcome {
  const yaml = readYaml(text, file);
  return yaml.ok ? storeOf(yaml, file) : fail(yaml.problems);
}

/** Holds YAML to the schema and compiles it. */
export function storeOf(yaml: Yaml, file: string): ParseOutcome {
  if (yaml.value === null || yaml.value === undefined) {
    const expected = 'version: 1, then the sections of a store';
    return fail([{ file, line: 1, column: 1, message: 'the file is empty', expected }]);
  }
  const told = (mistakes: readonly Mistake[]) =>
    mistakes
      .map((m): StoreProblem => ({ file, ...yaml.placeOf(m.path, m.atKey), message: m.message, expected: m.expected }))
      .sort((a, b) => a.line - b.line || a.column - b.column);
  const mistakes = validateStore(yaml.value);
  if (mistakes.length > 0) return fail(told(mistakes));
  const valid = yaml.value as StoreFile;
  const compiler = new FileCompiler(yaml.placeOf);
  const certificates = valid.certificates ?? [];
  certificates.forEach((fields, i) => compiler.reserveName(fields, i));
  const entries = certificates.map((fields, i) => compiler.entry(fields, i));
  const store = { ...compiler.sections(valid), entries };
  return compiler.mistakes.length > 0 ? fail(told(compiler.mistakes)) : { ok: true, store };
}

function fail(problems: readonly StoreProblem[]): ParseOutcome {
  return { ok: false, problems: problems.slice(0, maxProblems) };
}
