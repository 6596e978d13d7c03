/** Why a change of the store by program was not made; the file is then as it was. */

export type EditErrorCode =
  /** The file changed in between, or the entry is not the one that the caller saw. */
  | 'CONFLICT'
  | 'NOT_FOUND'
  | 'NAME_TAKEN'
  /** The edited store would not validate; `problems` say why. */
  | 'INVALID'
  /** The file has a mistake already, made by hand. */
  | 'BROKEN_FILE'
  /** Anchors or a form of YAML that can't be changed by program without touching what was not meant. */
  | 'BY_HAND'
  | 'LOCKED'
  | 'NOT_WRITABLE';

export class EditError extends Error {
  readonly code: EditErrorCode;
  readonly hint: string;
  /** One line per mistake. */
  readonly problems: readonly string[];
  constructor(code: EditErrorCode, message: string, hint: string, problems: readonly string[] = []) {
    super(message);
    this.name = 'EditError';
    this.code = code;
    this.hint = hint;
    this.problems = problems;
  }
}
