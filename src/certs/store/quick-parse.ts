/**
 * Parses large stores of the plain form about twenty times as fast as the YAML parser, in turns and without a thread: its
 * lines under `certificates` go through `PlainReader`, all else of the file through the YAML parser. Where the file is of
 * another form, or holds any mistake, the YAML parser reads it whole and tells the mistake. What is accepted here means the
 * same to both; a test holds the two together.
 */
import { FileCompiler } from './compile-file.ts';
import { readYaml } from './parse.ts';
import type { ParsedEntry, ParsedStore, Place } from './parsed.ts';
import { PlainReader } from './plain-reader.ts';
import type { CertificateFields, StoreFile } from './schema.ts';
import { Turns } from './turns.ts';
import { isCertificate, validateStore } from './validate.ts';

/**
 * @param before the entries in force
 * @returns null where the file is not in the plain form, or not valid
 */
export async function quickParse(
  text: string,
  file: string,
  before?: readonly ParsedEntry[],
): Promise<ParsedStore | null> {
  const turns = new Turns();
  const section = sectionOf(text);
  if (turns.over) await turns.next();
  const rest = section ? readYaml(section.rest, file) : null;
  if (!section || !rest?.ok || validateStore(rest.value).length > 0) return null;
  const sections = rest.value as StoreFile;
  if (sections.certificates?.length !== 0) return null; // the line was not a key of the file
  const reader = new PlainReader(text, section.start, section.end, section.firstNumber);
  const placeOf = (path: readonly (string | number)[]): Place => {
    if (path[0] === 'certificates') return reader.places[Number(path[1])] ?? { line: 1, column: 1 };
    const { line, column } = rest.placeOf(path);
    return { line: line < section.firstNumber ? line : line + section.lines, column };
  };
  const compiler = new FileCompiler(placeOf);
  if (turns.over) await turns.next();
  const entries: ParsedEntry[] = [];
  const unnamed: (readonly [index: number, fields: CertificateFields])[] = [];
  let index = 0;
  for (const fields of reader.items()) {
    if (turns.over) await turns.next();
    if (!isCertificate(fields)) return null;
    compiler.reserveName(fields, index);
    if (fields.name === undefined) unnamed.push([index, fields]);
    else entries[index] = compiler.entry(fields, index, before?.[index]);
    index++;
  }
  if (reader.gaveUp || index === 0) return null; // a key with nothing under it is no empty list
  // Names that are made from hosts make way for those that are written, wherever these are.
  for (const [index, fields] of unnamed) {
    if (turns.over) await turns.next();
    entries[index] = compiler.entry(fields, index, before?.[index]);
  }
  const store = { ...compiler.sections(sections), entries };
  return compiler.mistakes.length > 0 ? null : store;
}

interface Section {
  /** Offsets of the lines under the key. */
  readonly start: number;
  readonly end: number;
  /** 1-based number of the first of them, and how many there are. */
  readonly firstNumber: number;
  readonly lines: number;
  /** The file with an empty list in its place. */
  readonly rest: string;
}

function sectionOf(text: string): Section | null {
  const key = '\ncertificates:';
  const at = text.startsWith(key.slice(1)) ? 0 : text.indexOf(key) + 1;
  if ((at === 0 && !text.startsWith(key.slice(1))) || text.includes(key, at)) return null;
  const start = text.indexOf('\n', at) + 1;
  if (start === 0 || !/^certificates:(?: +#.*| *)\r?\n$/.test(text.slice(at, start))) return null;
  // The next key, or a document's end; a list may start in the first column.
  let end = start;
  let lines = 0;
  for (; end < text.length && goesOn(text, end); lines++) {
    const next = text.indexOf('\n', end);
    end = next === -1 ? text.length : next + 1;
  }
  const firstNumber = text.slice(0, start).split('\n').length;
  const rest = `${text.slice(0, at)}certificates: []\n${text.slice(end)}`;
  return { start, end, firstNumber, lines, rest };
}

/** Whether a line that starts here can belong to the list: indented, empty, a comment or an item. */
function goesOn(text: string, at: number): boolean {
  const first = text.charAt(at);
  if (first === '-') return !text.startsWith('---', at);
  return first === ' ' || first === '\n' || first === '#' || first === '\r';
}
