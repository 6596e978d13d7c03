/** What the admin API refuses with: RFC 9457. */
export class AdminError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  /** More members of the problem object. */
  readonly members: object;

  constructor(status: number, code: string, message: string, hint: string, members: object = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.members = members;
  }

  body(): object {
    return {
      type: `urn:mtlsd:admin:${this.code}`,
      title: this.code,
      status: this.status,
      detail: this.message,
      code: this.code,
      hint: this.hint,
      ...this.members,
    };
  }
}
