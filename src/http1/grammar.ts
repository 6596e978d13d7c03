/** Which bytes are allowed where. A table has a 1 for each byte (0 to 255) that is allowed. */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** RFC 9110 §5.6.2: token = 1*tchar, no delimiters. Methods and field names. */
export const TOKEN = table(/[!#$%&'*+\-.^_`|~0-9A-Za-z]/);
/** RFC 9112 §3.2 has ASCII only; bytes from 0x80 on are sent in practice, and separate nothing. */
export const TARGET = table(/[\x21-\x7e\x80-\xff]/);
/** RFC 9110 §5.5: field-content is VCHAR, obs-text, SP, HTAB. RFC 9112 §4: so is a reason phrase. */
export const VALUE = table(/[\t\x20-\x7e\x80-\xff]/);
/** RFC 5234 §B.1; HEX in both cases. */
export const DIGIT = table(/[0-9]/);
export const HEX = table(/[0-9A-Fa-f]/);
export const NONE = new Uint8Array(256);

export function table(allowed: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (allowed.test(String.fromCharCode(byte)) ? 1 : 0));
}

/** The first place from `at` up to `end` whose byte is not allowed; `end` if there is none. */
export function skip(allowed: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  while (at < end && allowed[bytes[at] as number] === 1) at++;
  return at;
}

/** RFC 9110 §5.6.3: OWS = *( SP / HTAB ). */
export function isSpace(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
