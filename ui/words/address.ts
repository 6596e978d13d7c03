/** Addresses of the page. */

export type Changes = Readonly<Record<string, string | null>>;

/** The address with parameters set, or taken out by null or nothing. */
export function withParams(query: string, changes: Changes): string {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  return next.size === 0 ? '/' : `/?${next.toString()}`;
}
