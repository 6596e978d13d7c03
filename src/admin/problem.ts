/** What the admin API refuses with: RFC 9457. `docs/admin-api.md` is held to the codes by a test. */
import type { FastifyError } from 'fastify';
import { RenewalFault, type RenewalFaultCode } from '../certs/renewal/fault.ts';
import type { EditErrorCode } from '../certs/store/edit-value.ts';
import { CodedError, MtlsdError, nativeCode } from '../core/errors.ts';

/** A file that changed between reading and writing is 412 only where the request named the version that it read; else 409. */
const EDIT_STATUS = {
  CONFLICT: 409,
  NOT_FOUND: 404,
  NAME_TAKEN: 409,
  INVALID: 422,
  BROKEN_FILE: 409,
  BY_HAND: 409,
  LOCKED: 503,
  NOT_WRITABLE: 500,
  TOO_COSTLY: 409,
} as const satisfies Record<EditErrorCode, number>;

/** Every code of the API's own, and its status. */
export const ADMIN_CODES = {
  ...EDIT_STATUS,
  BAD_REQUEST: 400,
  TOKEN_REQUIRED: 401,
  WRONG_CODE: 401,
  FOREIGN_ORIGIN: 403,
  FILES_ELSEWHERE: 409,
  NO_RENEWAL: 409,
  NO_ROTATION: 409,
  OWN_CA: 409,
  ROTATING: 409,
  NOT_RECORDED: 409,
  CHANGED_MEANWHILE: 412,
  EXISTS_ALREADY: 412,
  BODY_TOO_LARGE: 413,
  JSON_ONLY: 415,
  WRONG_HOST: 421,
  NO_CA: 422,
  NOT_SENT: 422,
  TOO_MANY_GUESSES: 429,
  INTERNAL: 500,
  BUSY: 503,
  NO_SPACE: 507,
} as const satisfies Record<string, number>;

export type AdminCode = keyof typeof ADMIN_CODES;

/** Whose fault a failed renewal is: 502, the CA's, as a proxy would say, but for these. */
const RENEWAL_STATUS: Partial<Readonly<Record<RenewalFaultCode, number>>> = {
  CA_TIMEOUT: 504,
  CA_PENDING: 503,
  LOCKED: 503,
  CANCELLED: 503,
  ENTRY_UNUSABLE: 409,
  FILES_NOT_WRITABLE: 409,
  REQUEST_IMPOSSIBLE: 409,
  INTERNAL: 500,
};

export interface AdminErrorData {
  /** In place of the table's. */
  readonly status?: number;
  /** Each thing found wrong, where there are several. */
  readonly problems?: readonly unknown[] | null;
  /** Sent with 429 and 503; 1 when left out. */
  readonly retryAfterSeconds?: number;
}

export class AdminError extends CodedError {
  readonly status: number;
  readonly problems: readonly unknown[] | null;
  readonly retryAfterSeconds: number;

  constructor(code: AdminCode, message: string, hint: string, data?: AdminErrorData);
  /** With a code of another table. */
  constructor(code: string, message: string, hint: string, data: AdminErrorData & { readonly status: number });
  constructor(code: string, message: string, hint: string, data: AdminErrorData = {}) {
    super(code, message, hint);
    this.status = data.status ?? ADMIN_CODES[code as AdminCode];
    this.problems = data.problems ?? null;
    this.retryAfterSeconds = data.retryAfterSeconds ?? 1;
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

/** Anything thrown in a route, as the client's answer; an unknown fault gives no detail. */
export function asAdminError(error: FastifyError | Error): AdminError {
  if (error instanceof AdminError) return error;
  const coded = error instanceof CodedError ? statusOf(error) : null;
  if (error instanceof CodedError && coded !== null) {
    const { code, message, hint, details } = error;
    return new AdminError(code, message, hint, { status: coded, problems: details.length > 0 ? details : null });
  }
  if (['ENOSPC', 'EDQUOT'].includes(nativeCode(error) ?? ''))
    return new AdminError('NO_SPACE', 'no space left on the disk of the home folder', 'free some space there');
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  if (status === 413)
    return new AdminError(
      'BODY_TOO_LARGE',
      'the body is larger than 1 MiB',
      'a certificate, its chain and its key are far smaller; check the file',
    );
  if (status === 415)
    return new AdminError('JSON_ONLY', 'the body has to be JSON', 'send Content-Type: application/json');
  if (status >= 500)
    return new AdminError(
      'INTERNAL',
      'the admin API failed',
      'this is a fault of mtlsd; please report it with its log',
    );
  // A parser quotes what it stumbled over.
  if (error instanceof SyntaxError || ('code' in error && error.code === 'FST_ERR_CTP_INVALID_JSON_BODY'))
    return new AdminError('BAD_REQUEST', 'the body is not JSON', 'check its quotes, commas and brackets');
  return new AdminError('BAD_REQUEST', error.message, 'GET /openapi.json says what this route takes', { status });
}

/** null for what no client gets to know. */
function statusOf(error: CodedError): number | null {
  if (error instanceof RenewalFault) return RENEWAL_STATUS[error.code] ?? 502;
  if (error instanceof MtlsdError) return error.code === 'BAD_AUTHORITY' ? 400 : 422;
  return EDIT_STATUS[error.code as EditErrorCode] ?? null;
}
