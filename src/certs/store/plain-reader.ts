/**
 * The plain form of YAML that large stores are written in: block lists and mappings, one-line flow ones, quoted text without
 * escapes, plain words, small numbers. What it accepts has one meaning in YAML 1.2 and gets that; at anything else it stops.
 */
import type { Place } from './parsed.ts';

type Value = string | number | boolean | Value[] | { [key: string]: Value };

/** Thrown and caught inside: not the plain form. */
class NotPlain extends Error {}

interface Line {
  readonly indent: number;
  readonly content: string;
  /** 1-based, in the file. */
  readonly number: number;
}

export class PlainReader {
  /** Of the items given so far. */
  readonly places: Place[] = [];
  gaveUp = false;
  readonly #text: string;
  readonly #end: number;
  /** Of the next line: its offset and its number. */
  #at: number;
  #number: number;

  /** @param start offset of the line under the key of a list, @param end of the next key, @param number the first line's */
  constructor(text: string, start: number, end: number, number: number) {
    this.#text = text;
    this.#at = start;
    this.#end = end;
    this.#number = number;
  }

  /** The list's items; ends early with `gaveUp` where the form is another one. */
  *items(): Generator {
    try {
      const dash = this.#peek()?.indent ?? 0;
      for (let line = this.#take(); line; line = this.#take()) {
        if (line.indent !== dash) throw new NotPlain();
        const { column, content } = afterDash(line);
        this.places.push({ line: line.number, column: column + 1 });
        yield content.startsWith('{') ? wholeValue(content) : this.#mapping(column, content, 0);
      }
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      this.gaveUp = true;
    }
  }

  /** A mapping whose keys are at `column` and whose first line's content is given. */
  #mapping(column: number, first: string, depth: number): Value {
    if (depth > 3) throw new NotPlain();
    const mapping: { [key: string]: Value } = {};
    for (let content: string | null = first; content !== null; content = this.#contentAt(column)) {
      const match = /^([a-z_]+):(?: +(.*))?$/.exec(content);
      const key = match?.[1];
      if (key === undefined || key in mapping) throw new NotPlain();
      const rest = match?.[2] ?? '';
      mapping[key] = rest === '' || rest.startsWith('#') ? this.#nested(column, depth) : wholeValue(rest);
    }
    return mapping;
  }

  /** The next line's content where it belongs to the same block, null where the block ends. */
  #contentAt(column: number): string | null {
    const line = this.#peek();
    if (!line || line.indent < column) return null;
    if (line.indent > column) throw new NotPlain(); // text that goes on, or a mistake
    this.#take();
    return line.content;
  }

  #nested(column: number, depth: number): Value {
    const line = this.#take();
    if (!line || line.indent <= column) throw new NotPlain();
    if (!line.content.startsWith('-')) return this.#mapping(line.indent, line.content, depth + 1);
    const list: Value[] = [];
    for (let content: string | null = line.content; content !== null; content = this.#contentAt(line.indent)) {
      list.push(wholeValue(afterDash({ ...line, content }).content));
    }
    return list;
  }

  /** The next line that is neither empty nor a comment, without taking it. */
  #peek(): Line | null {
    while (this.#at < this.#end) {
      const end = this.#lineEnd();
      const line = this.#text.slice(this.#at, end).trimEnd();
      const indent = line.search(/[^ ]/);
      if (indent !== -1 && line[indent] !== '#') {
        if (/[\t\r]/.test(line)) throw new NotPlain();
        return { indent, content: line.slice(indent), number: this.#number };
      }
      this.#skip(end);
    }
    return null;
  }

  #take(): Line | null {
    const line = this.#peek();
    if (line) this.#skip(this.#lineEnd());
    return line;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end === -1 ? this.#end : end;
  }

  #skip(end: number): void {
    this.#at = end + 1;
    this.#number++;
  }
}

function afterDash({ indent, content }: Line): { column: number; content: string } {
  const match = /^-( +)(\S.*)$/.exec(content);
  if (!match?.[1] || match[2] === undefined || match[2].startsWith('#')) throw new NotPlain();
  return { column: indent + 1 + match[1].length, content: match[2] };
}

/** A value with nothing after it but a comment. */
function wholeValue(text: string): Value {
  const { value, end } = valueAt(text, 0, 0);
  if (!/^( +#.*| *)$/.test(text.slice(end))) throw new NotPlain();
  return value;
}

interface Read {
  readonly value: Value;
  readonly end: number;
}

// Sticky: each matches where `lastIndex` is.
const quoted = /"([^"\\]*)"|'([^']*)'/y;
const plain = /[A-Za-z0-9_./][A-Za-z0-9_./@+-]*/y;
const flowKey = /([a-z_]+): +/y;
const separator = / *, +/y;
const spaces = / */y;

function valueAt(text: string, at: number, depth: number): Read {
  if (text[at] === '{' || text[at] === '[') return collectionAt(text, at, depth + 1);
  const quote = matchAt(quoted, text, at);
  if (quote) return { value: quote[1] ?? quote[2] ?? '', end: quoted.lastIndex };
  const word = matchAt(plain, text, at);
  if (!word) throw new NotPlain();
  return { value: resolved(word[0]), end: plain.lastIndex };
}

function collectionAt(text: string, start: number, depth: number): Read {
  if (depth > 3) throw new NotPlain();
  const isMap = text[start] === '{';
  const close = isMap ? '}' : ']';
  const mapping: { [key: string]: Value } = {};
  const list: Value[] = [];
  let at = skip(spaces, text, start + 1);
  while (text[at] !== close) {
    const key = isMap ? matchAt(flowKey, text, at)?.[1] : '';
    if (key === undefined || key in mapping) throw new NotPlain();
    const { value, end } = valueAt(text, isMap ? flowKey.lastIndex : at, depth);
    if (isMap) mapping[key] = value;
    else list.push(value);
    at = skip(separator, text, end);
    if (at > end) continue;
    at = skip(spaces, text, end);
    if (text[at] !== close) throw new NotPlain();
  }
  return { value: isMap ? mapping : list, end: at + 1 };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Where the pattern's match ends; the same place without one. */
function skip(pattern: RegExp, text: string, at: number): number {
  return matchAt(pattern, text, at) ? pattern.lastIndex : at;
}

// YAML 1.2 §10.3.2, the core schema: what is not text.
const number =
  /^[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|nan))$/i;

function resolved(word: string): Value {
  if (word === 'true' || word === 'false') return word === 'true';
  if (/^(0|[1-9][0-9]{0,8})$/.test(word)) return Number(word);
  if (number.test(word) || /^(null|true|false)$/i.test(word)) throw new NotPlain();
  return word;
}
