/** Where in YAML text a value stands, by its path; so that a mistake is told with its line and column. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node } from 'yaml';

/**
 * Offset of the node at a path; of its nearest parent where there is none.
 * @param atKey the key of the last segment rather than its value
 */
export function offsetOf(document: Document.Parsed, path: readonly (string | number)[], atKey = false): number {
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
