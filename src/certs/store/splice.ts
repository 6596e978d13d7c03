/**
 * Changes YAML text where a change is, and nowhere else: every other byte stays, comments, order, anchors and spacing too.
 * It knows block style only and gives up (null) on anything unusual; `edit-text.ts` checks each result against the meaning
 * and has a second way.
 */
import {
  Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Change, Path } from './edit-value.ts';

/** @returns the new text, or null where this way does not apply */
export function spliceChange(text: string, document: Document, change: Change): string | null {
  const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  const parent = nodeAt(document, change.path.slice(0, -1));
  const last = change.path.at(-1) ?? '';
  if (change.op === 'insert') {
    const list = nodeAt(document, change.path);
    if (isSeq(list) && !list.flow && list.items.length > 0) return appendItem(ended, list, change.value);
    return setIn(ended, document, change.path, [change.value]);
  }
  if (isSeq(parent) && typeof last === 'number' && !parent.flow) {
    if (change.op === 'set') return replaceItem(ended, parent, last, change.value);
    if (parent.items.length > 1) return removeItem(ended, parent, last);
    return setKey(ended, nodeAt(document, change.path.slice(0, -2)), String(change.path.at(-2)), [], document);
  }
  if (change.op === 'remove') return isMap(parent) ? removeKey(ended, parent, String(last)) : null;
  return setIn(ended, document, change.path, change.value);
}

/** Sets a key; a section that is missing is made with it. */
function setIn(text: string, document: Document, path: Path, value: unknown): string | null {
  const parent = nodeAt(document, path.slice(0, -1));
  const key = String(path.at(-1));
  if (parent || path.length !== 2) return setKey(text, parent, key, value, document);
  return setKey(text, document.contents, String(path[0]), { [key]: value }, document);
}

function nodeAt(document: Document, path: Path): Node | undefined {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) && !(isScalar(node) && node.value === null) ? node : undefined;
}

function appendItem(text: string, list: YAMLSeq, value: unknown): string | null {
  const item = list.items.at(-1);
  const dash = item ? dashOf(text, list, item) : null;
  if (!dash) return null;
  const end = lineEnd(text, lastContent(text, item));
  return text.slice(0, end) + itemText(value, dash.column) + text.slice(end);
}

function replaceItem(text: string, list: YAMLSeq, index: number, value: unknown): string | null {
  const item = list.items[index];
  const dash = dashOf(text, list, item);
  if (!dash) return null;
  return text.slice(0, dash.line) + itemText(value, dash.column) + text.slice(lineEnd(text, lastContent(text, item)));
}

/** With the comment lines right above it: they would be read as being about the next entry. */
function removeItem(text: string, list: YAMLSeq, index: number): string | null {
  const item = list.items[index];
  const dash = dashOf(text, list, item);
  if (!dash) return null;
  let start = dash.line;
  while (start > 0) {
    const above = lineStart(text, start - 1);
    if (!/^\s*#/.test(text.slice(above, start))) break;
    start = above;
  }
  return text.slice(0, start) + text.slice(lineEnd(text, lastContent(text, item)));
}

function setKey(
  text: string,
  map: Node | null | undefined,
  key: string,
  value: unknown,
  document: Document,
): string | null {
  if (!isMap(map) || map.flow) return null;
  const pair = pairOf(map, key);
  const first = map.items[0];
  if (!first) return null;
  const column = columnOf(text, startOf(first.key));
  if (!pair) {
    const end = map === document.contents ? endOfDocument(text) : lineEnd(text, lastContent(text, map));
    const separated = map === document.contents && !/(^|\n)\n$/.test(text.slice(0, end)) ? '\n' : '';
    return (
      text.slice(0, end) + separated + ' '.repeat(column) + `${key}:${valueText(value, column)}\n` + text.slice(end)
    );
  }
  const colon = text.indexOf(':', endOf(pair.key));
  const old = pair.value as Node | null;
  const block = (isMap(old) || isSeq(old)) && !old.flow;
  const empty = old === null || (isScalar(old) && old.value === null && old.source === '');
  const inline = inlineText(value);
  // Only the value itself, so that a comment behind it stays.
  if (!block && !empty && inline !== null) return text.slice(0, startOf(old)) + inline + text.slice(endOf(old));
  const end = block || !empty ? lineEnd(text, lastContent(text, old)) : lineEnd(text, colon);
  return `${text.slice(0, colon + 1)}${valueText(value, column)}\n${text.slice(end)}`;
}

function removeKey(text: string, map: YAMLMap, key: string): string | null {
  const pair = pairOf(map, key);
  if (!pair || map.flow || map.items.length === 1) return null;
  const start = startOf(pair.key);
  const next = map.items[map.items.indexOf(pair) + 1];
  // On the line of the dash, the next key moves up.
  if (/\S/.test(text.slice(lineStart(text, start), start)))
    return next ? text.slice(0, start) + text.slice(startOf(next.key)) : null;
  return text.slice(0, lineStart(text, start)) + text.slice(lineEnd(text, lastContent(text, pair.value ?? pair.key)));
}

/** Where the "- " of an item is: its line's start and its column. */
function dashOf(text: string, list: YAMLSeq, item: unknown): { line: number; column: number } | null {
  const column = columnOf(text, startOf(list));
  for (let line = lineStart(text, startOf(item)); line >= 0; line = lineStart(text, line - 1)) {
    if (/^ *-(\s|$)/.test(text.slice(line)) && text.slice(line).search('-') === column) return { line, column };
    if (line === 0) break;
  }
  return null;
}

function itemText(value: unknown, column: number): string {
  const lines = blockText(value).split('\n');
  const [first = '', ...rest] = lines;
  const pad = ' '.repeat(column);
  return [`${pad}- ${first}`, ...rest.map((line) => `${pad}  ${line}`)].join('\n').concat('\n');
}

/** What follows the colon: on its line where it is short, below it and indented otherwise. */
function valueText(value: unknown, column: number): string {
  const inline = inlineText(value);
  if (inline !== null) return ` ${inline}`;
  return `\n${blockText(value)
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

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((item) => isScalar(item.key) && item.key.value === key);
}

function startOf(node: unknown): number {
  return (node as Node).range?.[0] ?? 0;
}

function endOf(node: unknown): number {
  return (node as Node).range?.[1] ?? 0;
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
