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

/** As the events hand them over, pseudo-fields in front (RFC 9113 §8.3). */
export function withoutPseudo(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!(raw[i] as string).startsWith(':')) fields.push(raw[i] as string, raw[i + 1] as string);
  }
  return fields;
}
