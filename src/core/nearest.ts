/**
 * The known text that `text` most likely means: one that contains it, else the one with the fewest edits between them.
 * @returns null where none is close
 */
export function nearestOf(text: string, known: Iterable<string>): string | null {
  const wanted = text.toLowerCase();
  let nearest: string | null = null;
  let least = Math.max(2, Math.floor(text.length / 3)) + 1;
  for (const candidate of known) {
    const lower = candidate.toLowerCase();
    const edits = wanted.length > 3 && lower.includes(wanted) ? 1 : editsBetween(wanted, lower);
    if (edits < least) [nearest, least] = [candidate, edits];
  }
  return nearest;
}

/** Levenshtein distance. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++)
      next.push(Math.min((row[j] ?? 0) + (letter === b[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    row = next;
  }
  return row[b.length] ?? 0;
}
