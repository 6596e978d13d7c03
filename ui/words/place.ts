/** Hosts and ports as people type them. */

/** `api.example`, `api.example:8443`, `*.corp.example:*`, `[::1]:443`, and a URL too. */
export function splitPlace(text: string): { host: string; port: number | '*' } {
  const trimmed = text
    .trim()
    .replace(/^[a-z]+:\/\//i, '')
    .replace(/\/.*$/, '');
  const [, bracketed, port] = /^\[([^\]]+)\](?::(\d+|\*))?$/.exec(trimmed) ?? [];
  if (bracketed !== undefined) return { host: bracketed, port: portFrom(port) };
  // More than one colon and no bracket: an IPv6 address alone.
  if (trimmed.split(':').length > 2) return { host: trimmed, port: 443 };
  const [host = '', after] = trimmed.split(':');
  return { host, port: portFrom(after) };
}

function portFrom(text: string | undefined): number | '*' {
  if (text === undefined || text === '') return 443;
  return text === '*' ? '*' : Number(text);
}

/** What `match` and `probe` take. */
export function authorityOf(text: string): string {
  const { host, port } = splitPlace(text);
  return `${host.includes(':') ? `[${host}]` : host}:${port === '*' ? 443 : port}`;
}
