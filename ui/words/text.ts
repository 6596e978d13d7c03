/** Small words: sentences, counts, times. */

/** `the store has changed` -> `The store has changed.` */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const capital = `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}`;
  return /[.?!:]$/.test(capital) ? capital : `${capital}.`;
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`;

/** `a, b and c` */
export function listed(items: readonly string[], last = 'and'): string {
  if (items.length < 2) return items[0] ?? '';
  return `${items.slice(0, -1).join(', ')} ${last} ${items.at(-1)}`;
}

const two = (number: number): string => String(number).padStart(2, '0');

/** `14:03:09.120`, in this machine's time. */
export function clock(rfc3339: string): string {
  const at = new Date(rfc3339);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** `2026-08-01 14:03`, in this machine's time; what is no time stays as it is. */
export function localTime(rfc3339: string): string {
  const at = new Date(rfc3339);
  if (Number.isNaN(at.getTime())) return rfc3339;
  return `${localDate(rfc3339)} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

export function localDate(rfc3339: string): string {
  const at = new Date(rfc3339);
  if (Number.isNaN(at.getTime())) return rfc3339;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** `12 ms`, `1.24 s`: three figures are what a person compares. */
export function duration(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms >= 1_000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${Math.round(ms * 10) / 10} ms`;
}

export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1_000).toFixed(1)} kB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}

export const placeText = ({ host, port }: { readonly host: string; readonly port?: number | '*' }): string => {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === '*' ? `${name}, any port` : `${name}:${port ?? 443}`;
};

/** The host alone where the port is the usual one. */
export const shortAuthority = (authority: string): string => authority.replace(/:443$/, '');
