/** What the admin API refuses with: RFC 9457. */
import type { FastifyError } from 'fastify';
import type { EditErrorCode } from '../certs/store/edit-value.ts';
import { CodedError, MtlsdError, nativeCode } from '../core/errors.ts';

export class AdminError extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  /** Each thing found wrong, where there are several. */
  readonly problems: readonly unknown[] | null;
  /** Sent with 429 and 503. */
  readonly retryAfterSeconds: number;

  constructor(
    status: number,
    code: string,
    message: string,
    hint: string,
    problems: readonly unknown[] | null = null,
    retryAfterSeconds = 1,
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.problems = problems;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  body(): object {
    return {
      type: `urn:mtlsd:admin:${this.code}`,
      title: this.code,
      status: this.status,
      detail: this.message,
      code: this.code,
      hint: this.hint,
      ...(this.problems && { problems: this.problems }),
    };
  }
}

/** A file that changed between reading and writing is 412 only for who named what he read; else 409. */
const EDIT_STATUS: Readonly<Record<EditErrorCode, number>> = {
  CONFLICT: 409,
  NOT_FOUND: 404,
  NAME_TAKEN: 409,
  INVALID: 422,
  BROKEN_FILE: 409,
  BY_HAND: 409,
  LOCKED: 503,
  NOT_WRITABLE: 500,
  TOO_COSTLY: 409,
};

/** Anything thrown in a route as what the client is told; an unknown fault tells nothing of itself. */
export function asAdminError(error: FastifyError | Error): AdminError {
  if (error instanceof AdminError) return error;
  if (error instanceof MtlsdError)
    return new AdminError(error.code === 'BAD_AUTHORITY' ? 400 : 422, error.code, error.message, error.hint);
  if (error instanceof CodedError && error.code in EDIT_STATUS)
    return new AdminError(
      EDIT_STATUS[error.code as EditErrorCode],
      error.code,
      error.message,
      error.hint,
      error.details.length > 0 ? error.details : null,
    );
  const code = nativeCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AdminError(507, 'NO_SPACE', 'no space left on the disk of the home folder', 'free some space there');
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  if (status === 413)
    return new AdminError(
      413,
      'BODY_TOO_LARGE',
      'the body is larger than 1 MiB',
      'a certificate, its chain and its key are far smaller; check the file',
    );
  if (status === 415)
    return new AdminError(415, 'JSON_ONLY', 'the body has to be JSON', 'send Content-Type: application/json');
  if (status >= 500)
    return new AdminError(
      500,
      'INTERNAL',
      'the admin API failed',
      'this is a fault of mtlsd; please report it with its log',
    );
  // A parser quotes what it stumbled over.
  if (error instanceof SyntaxError || ('code' in error && error.code === 'FST_ERR_CTP_INVALID_JSON_BODY'))
    return new AdminError(400, 'BAD_REQUEST', 'the body is not JSON', 'check its quotes, commas and brackets');
  return new AdminError(status, 'BAD_REQUEST', error.message, 'GET /openapi.json says what this route takes');
}
