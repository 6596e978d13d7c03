/** Flat field lists and what node:http2 has in their place. */
import type { OutgoingHttpHeaders } from 'node:http2';

/** node:http2 takes an object; fields that come twice become lists, their order kept. */
export function toObject(fields: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase();
    const value = fields[i + 1] as string;
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

/**
 * As the events hand them over, pseudo-fields in front (RFC 9113 §8.3). A Cookie that was split into several fields is one
 * again, since HTTP/1.1 allows one only and either version takes it so (§8.2.3).
 */
export function withoutPseudo(raw: readonly string[]): string[] {
  const fields: string[] = [];
  let cookie = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.startsWith(':')) continue;
    if (name === 'cookie' && cookie !== -1) {
      fields[cookie] += `; ${value}`;
      continue;
    }
    if (name === 'cookie') cookie = fields.length + 1;
    fields.push(name, value);
  }
  return fields;
}
