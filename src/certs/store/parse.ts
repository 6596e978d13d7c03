/**
 * The text of certificates.yaml -> checked plain data, or every mistake with its place. Pure; runs in a thread of its own
 * for all but small files, because parsing 10,000 entries takes about a second.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { FileCompiler } from './compile-file.ts';
import type { ParseOutcome, Place, StoreProblem } from './parsed.ts';
import type { StoreFile } from './schema.ts';
import { type Mistake, validateStore } from './validate.ts';

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
} as const;

type Path = readonly (string | number)[];

type Yaml =
  | { readonly ok: true; readonly value: unknown; readonly placeOf: (path: Path, atKey?: boolean) => Place }
  | { readonly ok: false; readonly problems: readonly StoreProblem[] };

/** @param file goes into the problems as it is */
export function readYaml(text: string, file: string): Yaml {
  const lines = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { ...yamlOptions, lineCounter: lines });
    const broken = [...document.errors, ...document.warnings];
    const expected = 'YAML 1.2 with spaces for indentation';
    const problems = broken.map(({ pos, message }) => ({ file, ...at(pos[0]), message: oneLine(message), expected }));
    if (problems.length > 0) return { ok: false, problems };
    const value: unknown = document.toJS({ maxAliasCount: maxAliases });
    return { ok: true, value, placeOf: (path, atKey = false) => at(offsetOf(document, path, atKey)) };
  } catch (error) {
    return { ok: false, problems: [{ file, line: 1, column: 1, ...costly(error) }] };
  }
}

/** @param file goes into the problems as it is */
export function parseStore(text: string, file: string): ParseOutcome {
  const yaml = readYaml(text, file);
  if (!yaml.ok) return fail(yaml.problems);
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

/** Where the node at a path starts; the nearest parent's start where there is none. */
function offsetOf(document: Document.Parsed, path: Path, atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of path.entries()) {
    const resolved = isAlias(node) ? node.resolve(document) : node;
    if (isMap(resolved)) {
      const pair = resolved.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (!pair) break;
      const wantKey = atKey && depth === path.length - 1;
      node = pair.value;
      offset = (wantKey ? startOf(pair.key) : (startOf(pair.value) ?? startOf(pair.key))) ?? offset;
    } else if (isSeq(resolved) && typeof part === 'number') {
      node = resolved.items[part];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function costly(error: unknown): { message: string; expected: string } {
  if (error instanceof RangeError)
    return { message: 'the file is nested too deeply', expected: 'a store, at most six levels deep' };
  if (error instanceof ReferenceError)
    return { message: 'too many aliases are resolved', expected: `at most ${maxAliases} uses of anchors` };
  return { message: error instanceof Error ? oneLine(error.message) : String(error), expected: 'YAML 1.2' };
}

/** The parser's sentence as ours: one line, lower case, no full stop. */
function oneLine(message: string): string {
  const line = message.split('\n')[0]?.trim().replace(/[.:]$/, '') ?? '';
  return line.charAt(0).toLowerCase() + line.slice(1, 300);
}
