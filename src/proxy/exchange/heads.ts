/** The heads of an exchange as they are kept where the settings say so: `records.fields`. */
import { type FieldPolicy, keepHead, type RecordedHead } from '../../inspect/records/fields.ts';
import type { ClientConnection, ClientStream } from '../client/stream.ts';
import { sizeOf } from './fields.ts';

/** The size is that of RFC 9112 §3 and §5, with one space after each colon. */
export function requestHead(
  { scheme }: Pick<ClientConnection, 'scheme'>,
  { http, method, path, fields }: Pick<ClientStream, 'http' | 'method' | 'path' | 'fields'>,
  policy: FieldPolicy,
): RecordedHead {
  // An absolute-form target is longer than its path, by what is no longer known here.
  const isKnown = http !== '2' && scheme === 'https';
  return keepHead(fields, isKnown ? method.length + path.length + 14 + sizeOf(fields) : null, policy);
}

/** @param http what the origin spoke. @param reason null where it is not known */
export function responseHead(
  http: '1.1' | '2',
  reason: string | null,
  fields: readonly string[],
  policy: FieldPolicy,
): RecordedHead {
  return keepHead(fields, http === '2' || reason === null ? null : reason.length + 17 + sizeOf(fields), policy);
}
