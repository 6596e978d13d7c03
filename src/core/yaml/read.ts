/**
 * YAML text -> plain data, or every mistake with its line and column. Messages never quote the parser: it repeats the text,
 * which may hold a passphrase that lacks its quotes.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Mistake, Path } from '../validate.ts';
import { danglingAliases, explainCostly, explainYamlError } from './syntax.ts';

/** 1-based. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** One mistake in a file; at 1:1 where it has no place. */
export interface FileProblem extends Place {
  readonly file: string;
  /** Lower case, no full stop: what is wrong. */
  readonly message: string;
  readonly expected: string;
}

/** A file as YAML, before its meaning is checked. */
export interface Yaml {
  readonly ok: true;
  readonly document: Document;
  readonly value: unknown;
  /** Where the value at a path is, or its nearest parent; with `atKey` the key of the last segment. */
  readonly placeOf: (path: Path, atKey?: boolean) => Place;
  /** Mistakes with their places, in the order of the file. */
  readonly problemsOf: (mistakes: readonly Mistake[]) => FileProblem[];
}

export interface Broken {
  readonly ok: false;
  readonly problems: readonly FileProblem[];
}

/** More mistakes than a person reads. */
const MOST_PROBLEMS = 50;
/** Enough for a defaults block that forty entries use, far below what an alias bomb needs. */
const MOST_ALIASES = 1000;

/** YAML 1.2 core only: no merge keys, no timestamps, no "yes" that turns into true. */
const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  strict: true,
  prettyErrors: false,
  // Otherwise the parser prints warnings to the console; they are in `document.warnings`.
  logLevel: 'error',
} as const;

/** @param file goes into the problems as it is */
export function readYaml(text: string, file: string): Yaml | Broken {
  const lineCounter = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, { ...OPTIONS, lineCounter });
    const found = [...document.errors, ...document.warnings].map((error) => ({
      file,
      ...at(error.pos[0]),
      ...explainYamlError(error),
    }));
    if (found.length === 0)
      found.push(
        ...danglingAliases(document).map(({ offset, ...explanation }) => ({ file, ...at(offset), ...explanation })),
      );
    if (found.length > 0) return { ok: false, problems: mergeRepeated(found) };
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    const placeOf = (path: Path, atKey = false): Place => at(offsetOf(document, path, atKey));
    const problemsOf = (mistakes: readonly Mistake[]): FileProblem[] =>
      mergeRepeated(
        mistakes
          .map(({ path, atKey, message, expected }) => ({ file, ...placeOf(path, atKey), message, expected }))
          .sort((a, b) => a.line - b.line || a.column - b.column),
      );
    return { ok: true, document, value, placeOf, problemsOf };
  } catch (error) {
    return { ok: false, problems: [{ file, line: 1, column: 1, ...explainCostly(error, MOST_ALIASES) }] };
  }
}

/** Mistakes that repeat as one, at the first place, with their count. */
export function mergeRepeated(problems: readonly FileProblem[]): FileProblem[] {
  const groups = Map.groupBy(problems, ({ message, expected }) => `${message}\n${expected}`);
  return [...groups.values()].slice(0, MOST_PROBLEMS).map(([first, ...rest]) => {
    const problem = first as FileProblem; // a group is never empty
    return rest.length === 0 ? problem : { ...problem, message: `${problem.message} (${rest.length + 1} times)` };
  });
}

/** `certificates.yaml:12:5: port is 0; expected a port from 1 to 65535` */
export function describeProblem(problem: FileProblem): string {
  return describeAt(problem.file.split(/[\\/]/).at(-1) ?? problem.file, problem);
}

/** @param file as people are to read it */
export function describeAt(file: string, { line, column, message, expected }: Omit<FileProblem, 'file'>): string {
  return `${file}:${line}:${column}: ${message}; expected ${expected}`;
}

function offsetOf(document: Document, path: Path, atKey: boolean): number {
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
