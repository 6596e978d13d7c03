export type Http1ErrorCode = 'MALFORMED' | 'HEAD_TOO_LARGE' | 'UNSUPPORTED_VERSION' | 'TRUNCATED';

/** A message that breaks a rule. The text is one lower-case sentence that names the rule and its section. */
export class Http1Error extends Error {
  override readonly name = 'Http1Error';
  readonly code: Http1ErrorCode;

  constructor(code: Http1ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function malformed(message: string): Http1Error {
  return new Http1Error('MALFORMED', message);
}

/** A peer's text (latin1) for an error: its first 80 characters, those that are not printable ASCII as \xNN. */
export function quoted(text: string): string {
  const escaped = text
    .slice(0, 80)
    .replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped.slice(0, 80)}"`;
}

/** A peer's byte for an error. */
export function byteName(byte: number): string {
  return `byte 0x${byte.toString(16).padStart(2, '0')}`;
}
