/**
 * Changes YAML text where a change is, and nowhere else: every other byte stays, comments, order, anchors and spacing too.
 * It gives up (null) on anything unusual; `edit-text.ts` checks each result against the meaning.
 */
import {
  Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Path } from '../../core/validate.ts';
import type { Change } from './edit-value.ts';

/** Takes the place of the text between two offsets. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** @returns null where two of them overlap */
export function applySplices(text: string, splices: readonly Splice[]): string | null {
  const breaks = text.includes('\r\n') ? '\r\n' : '\n';
  let out = '';
  let at = 0;
  for (const { start, end, text: inserted } of [...splices].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start < at) return null;
    const before = text.slice(at, start);
    // A whole line that comes after a last line without its end.
    const missing = inserted.endsWith('\n') && start === text.length && !(out + before).endsWith('\n') && start > 0;
    out += before + (missing ? breaks : '') + inserted.replaceAll('\n', breaks);
    at = end;
  }
  return out + text.slice(at);
}

/** @returns null where the change can't be made in this form of YAML */
export function spliceOf(text: string, document: Document, change: Change): Splice | null {
  const parentPath = change.path.slice(0, -1);
  const last = change.path.at(-1) ?? '';
  if (change.op === 'insert') {
    const list = nodeAt(document, change.path);
    if (!isSeq(list) || list.items.length === 0) return setIn(text, document, change.path, [change.value]);
    return list.flow ? appendInFlow(list, flowText(change.value)) : appendItem(text, list, change.value);
  }
  const parent = nodeAt(document, parentPath);
  if (change.op === 'set' && !isSeq(parent)) return setIn(text, document, change.path, change.value);
  if (!isMap(parent) && !isSeq(parent)) return null;
  const items: readonly unknown[] = parent.items;
  const index = isMap(parent) ? parent.items.findIndex((pair) => isKey(pair, String(last))) : Number(last);
  if (!(index in items)) return null;
  if (change.op === 'set') {
    const item = items[index];
    return parent.flow ? replaced(item, flowText(change.value)) : replaceItem(text, parent, item, change.value);
  }
  if (parent.flow) return removeInFlow(items, index);
  if (items.length === 1) return setIn(text, document, parentPath, isMap(parent) ? {} : []);
  return isMap(parent) ? removeKey(text, parent, index) : removeItem(text, parent, items[index]);
}

/** Sets a key; a section that is missing is made with it. */
function setIn(text: string, document: Document, path: Path, value: unknown): Splice | null {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = String(path.at(-1));
  if (parent || path.length !== 2) return setKey(text, parent, key, value, document);
  return setKey(text, document.contents, String(path[0]), { [key]: value }, document);
}

function nodeAt(document: Document, path: Path): Node | undefined {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) && !(isScalar(node) && node.value === null) ? node : undefined;
}

// In flow style: { a: 1, b: 2 } and [a, b].

function replaced(item: unknown, text: string): Splice {
  return { start: startOf(item), end: endOf(item), text };
}

function appendInFlow(collection: YAMLMap | YAMLSeq, item: string): Splice {
  const last = collection.items.at(-1);
  if (last !== undefined) return { start: endOf(last), end: endOf(last), text: `, ${item}` };
  return replaced(collection, isMap(collection) ? `{ ${item} }` : `[ ${item} ]`);
}

function removeInFlow(items: readonly unknown[], index: number): Splice {
  const [before, item, after] = [items[index - 1], items[index], items[index + 1]];
  if (after !== undefined) return { start: startOf(item), end: startOf(after), text: '' };
  return { start: before === undefined ? startOf(item) : endOf(before), end: endOf(item), text: '' };
}

/** On one line, as inside brackets. */
function flowText(value: unknown): string {
  const document = new Document([value], { version: '1.2', schema: 'core' });
  if (isSeq(document.contents)) document.contents.flow = true;
  return document.toString({ lineWidth: 0, flowCollectionPadding: true }).trim().slice(1, -1).trim();
}

// In block style: one item or key a line.

function appendItem(text: string, list: YAMLSeq, value: unknown): Splice | null {
  const item = list.items.at(-1);
  const dash = dashOf(text, list, item);
  if (!dash) return null;
  const end = lineEnd(text, lastContent(text, item));
  return { start: end, end, text: itemText(value, dash.column) };
}

function replaceItem(text: string, list: YAMLMap | YAMLSeq, item: unknown, value: unknown): Splice | null {
  const dash = dashOf(text, list, item);
  if (!dash) return null;
  return { start: dash.line, end: lineEnd(text, lastContent(text, item)), text: itemText(value, dash.column) };
}

/** With the comment lines right above it: they would be read as being about the next entry. */
function removeItem(text: string, list: YAMLSeq, item: unknown): Splice | null {
  const dash = dashOf(text, list, item);
  if (!dash) return null;
  let start = dash.line;
  while (start > 0) {
    const above = lineStart(text, start - 1);
    if (!/^\s*#/.test(text.slice(above, start))) break;
    start = above;
  }
  return { start, end: lineEnd(text, lastContent(text, item)), text: '' };
}

function setKey(
  text: string,
  map: Node | null | undefined,
  key: string,
  value: unknown,
  document: Document,
): Splice | null {
  if (!isMap(map)) return null;
  const pair = map.items.find((item) => isKey(item, key));
  if (map.flow) {
    const item = flowText({ [key]: value })
      .slice(1, -1)
      .trim();
    return pair ? replaced(pair, item) : appendInFlow(map, item);
  }
  const [first] = map.items;
  if (!first) return null;
  const column = columnOf(text, startOf(first.key));
  if (!pair) {
    const end = map === document.contents ? endOfDocument(text) : lineEnd(text, lastContent(text, map));
    const separated = map === document.contents && !/(^|\n)\r?\n$/.test(text.slice(0, end)) ? '\n' : '';
    return { start: end, end, text: `${separated}${' '.repeat(column)}${key}:${valueText(value, column, '')}\n` };
  }
  const colon = text.indexOf(':', endOf(pair.key));
  const old = pair.value as Node | null;
  const block = (isMap(old) || isSeq(old)) && !old.flow;
  const empty = old === null || (isScalar(old) && old.value === null && old.source === '');
  const inline = inlineText(value);
  // Only the value itself, so that the spacing around it stays.
  if (!block && !empty && inline !== null) return replaced(old, inline);
  // The comment behind the key, or behind the value on its line.
  const head = block || empty ? colon + 1 : endOf(old);
  const [comment = ''] = /^[ \t]+#[^\r\n]*/.exec(text.slice(head, lineEnd(text, head))) ?? [];
  const end = lineEnd(text, block ? lastContent(text, old) : head);
  return { start: colon + 1, end, text: `${valueText(value, column, comment)}\n` };
}

function removeKey(text: string, map: YAMLMap, index: number): Splice | null {
  const [pair, next] = [map.items[index] as Pair, map.items[index + 1]];
  const start = startOf(pair);
  // On the line of the dash, the next key moves up.
  if (/\S/.test(text.slice(lineStart(text, start), start)))
    return next ? { start, end: startOf(next), text: '' } : null;
  return { start: lineStart(text, start), end: lineEnd(text, lastContent(text, pair.value ?? pair.key)), text: '' };
}

/** Where the "- " of an item is: its line's start and its column. */
function dashOf(text: string, list: Node, item: unknown): { line: number; column: number } | null {
  const column = columnOf(text, startOf(list));
  for (let line = lineStart(text, startOf(item)); line >= 0; line = lineStart(text, line - 1)) {
    if (/^ *-(\s|$)/.test(text.slice(line, lineEnd(text, line))) && text.indexOf('-', line) - line === column)
      return { line, column };
    if (line === 0) break;
  }
  return null;
}

function itemText(value: unknown, column: number): string {
  const [first = '', ...rest] = blockText(value).split('\n');
  const pad = ' '.repeat(column);
  return [`${pad}- ${first}`, ...rest.map((line) => `${pad}  ${line}`)].join('\n').concat('\n');
}

/** What follows the colon: on its line where it is short, below it and indented otherwise. */
function valueText(value: unknown, column: number, comment: string): string {
  const inline = inlineText(value);
  if (inline !== null) return ` ${inline}${comment}`;
  return `${comment}\n${blockText(value)
    .split('\n')
    .map((line) => ' '.repeat(column + 2) + line)
    .join('\n')}`;
}

/** Scalars, and the small collections that people write on one line; null for everything else. */
function inlineText(value: unknown): string | null {
  const small =
    isPlain(value) ||
    isPlainList(value) ||
    (!Array.isArray(value) && Object.values(value as object).every((v) => isPlain(v) || isPlainList(v)));
  if (!small) return null;
  const document = new Document(value, { version: '1.2', schema: 'core' });
  if (isMap(document.contents) || isSeq(document.contents)) document.contents.flow = true;
  return document.toString({ lineWidth: 0, flowCollectionPadding: true }).trimEnd();
}

function isPlainList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isPlain);
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

function blockText(value: unknown): string {
  const document = new Document(value, { version: '1.2', schema: 'core' });
  visit(document, {
    Pair: (_, pair) => {
      const node = pair.value;
      if ((isMap(node) || isSeq(node)) && inlineText(node.toJS(document)) !== null) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0 }).trimEnd();
}

function isKey({ key }: Pair, name: string): boolean {
  return isScalar(key) && key.value === name;
}

/** Of a node, or of a key with its value. */
function startOf(item: unknown): number {
  return ((isPair(item) ? item.key : item) as Node | null)?.range?.[0] ?? 0;
}

function endOf(item: unknown): number {
  return ((isPair(item) ? (item.value ?? item.key) : item) as Node | null)?.range?.[1] ?? 0;
}

/** Offset of the last character that belongs to a node, not counting line breaks. */
function lastContent(text: string, node: unknown): number {
  let end = endOf(node);
  if ((isMap(node) || isSeq(node)) && !node.flow) {
    const pair = isMap(node) ? node.items.at(-1) : undefined;
    const inner: unknown = pair ? (pair.value ?? pair.key) : node.items.at(-1);
    if (inner !== null && inner !== undefined) return lastContent(text, inner);
  }
  if (isAlias(node)) return end - 1;
  while (end > startOf(node) && /\s/.test(text[end - 1] ?? '')) end--;
  return Math.max(end - 1, startOf(node));
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** After the line break of the line that holds the offset. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end + 1;
}

function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

/** Before a document end marker, where there is one. */
function endOfDocument(text: string): number {
  const marker = /^\.\.\.\s*$/m.exec(text);
  return marker ? marker.index : text.length;
}
