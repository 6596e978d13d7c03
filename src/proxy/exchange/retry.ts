/** Whether a request is sent again: once at most, and only where the origin can't have acted on it twice. */
import { MtlsdError, nativeCode } from '../../core/errors.ts';
import type { StreamFailure } from '../upstream/stream.ts';

/** RFC 9110 §9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** To send it again does no harm, should the first have been seen. */
export const mayRepeat = (method: string): boolean => IDEMPOTENT.has(method);

export interface AttemptFacts {
  readonly error: MtlsdError | StreamFailure;
  readonly method: string;
  readonly hasBody: boolean;
  /** The connection carried requests before. */
  readonly reused: boolean;
  /** Made so far. */
  readonly attempts: number;
}

export function mayRetry({ error, method, hasBody, reused, attempts }: AttemptFacts): boolean {
  if (attempts > 1) return false;
  // A handshake that was cut off without a word: nothing was sent, so that any request may go again, and a server that was
  // just starting or stopping takes the second.
  if (error instanceof MtlsdError) return wasCutOff(error);
  // The body is gone with the first attempt.
  if (hasBody) return false;
  if (error.untouched) return true;
  // An idle connection that the server closed as the request was written.
  return error.kind === 'closed' && reused && mayRepeat(method);
}

function wasCutOff({ code, nothingSent, alert, cause }: MtlsdError): boolean {
  return (
    code === 'TLS_FAILED' && nothingSent && alert === null && ['ECONNRESET', 'EPIPE'].includes(nativeCode(cause) ?? '')
  );
}
