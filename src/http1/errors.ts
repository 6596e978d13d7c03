export type Http1ErrorCode = 'MALFORMED' | 'HEAD_TOO_LARGE' | 'UNSUPPORTED_VERSION' | 'TRUNCATED';

/** A message that breaks a rule. The text is one lower-case clause that names the rule and its section. */
export class Http1Error extends Error {
  readonly code: Http1ErrorCode;

  constructor(code: Http1ErrorCode, message: string) {
    super(message);
    this.name = 'Http1Error';
    this.code = code;
  }
}

export const malformed = (message: string): Http1Error => new Http1Error('MALFORMED', message);

/** A peer's text (latin1) for an error: printable ASCII, other bytes as \xNN, at most 80 characters. */
export function quoted(text: string): string {
  const escaped = text
    .slice(0, 80)
    .replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `"${escaped.slice(0, 80)}"`;
}
