/** Why a renewal failed: one table of codes, which `docs/renewal.md` is held to by a test. */
import { CodedError, type ErrorCode, MtlsdError } from '../../core/errors.ts';
import { printable } from '../../core/facts.ts';

// biome-ignore format: a table reads best as a table
export const RENEWAL_FAULTS = {
  CA_UNREACHABLE: 'check the address under renew: and that this machine reaches it',
  CA_TIMEOUT: 'the CA is slow or hangs; look at its log',
  CA_REFUSED: 'look at the log of the CA',
  CA_PENDING: 'approve the request at the CA; it is sent again by itself',
  CA_ANSWER_INVALID: 'check that the address under renew: is the one of the CA',
  COMMAND_FAILED: 'run the command of the entry as the user of the daemon',
  KEY_MISMATCH: 'the CA has to certify the key of the request',
  SUBJECT_DIFFERS: 'the CA has to keep the subject; to change it, add a new certificate: mtlsd cert add HOST --cert FILE --key FILE',
  NAMES_MISSING: 'the CA has to keep all names of the certificate',
  NOT_CLIENT_CERTIFICATE: 'set up the CA to issue certificates with clientAuth',
  NOT_LATER: 'the CA has to issue a certificate that ends later',
  NOT_VALID_NOW: 'check the clocks of the CA and of this machine',
  CHAIN_INCOMPLETE: 'the CA has to send the certificates between the new one and its root',
  CERTIFICATE_UNUSABLE: 'look at what the CA issued',
  REQUEST_IMPOSSIBLE: 'renew it with a command: renew: { command: [...] }',
  FILES_NOT_WRITABLE: 'put the certificate and its key into files that the daemon alone writes',
  LOCKED: 'it is tried again by itself',
  CANCELLED: 'it is tried again at the next start',
  ENTRY_UNUSABLE: 'mtlsd cert show NAME says what is wrong with it',
  INTERNAL: 'this is a fault of mtlsd; please report it',
} as const;

export type RenewalFaultCode = keyof typeof RENEWAL_FAULTS;

export interface RenewalFaultData {
  readonly hint?: string;
  /** What the CA asks for, in ms from its answer. */
  readonly retryAfterMs?: number | null;
  readonly cause?: unknown;
}

export class RenewalFault extends CodedError<RenewalFaultCode> {
  readonly retryAfterMs: number | null;

  /** @param message one sentence, lower case, no full stop; text of the other side passes `said` first */
  constructor(code: RenewalFaultCode, message: string, data: RenewalFaultData = {}) {
    super(code, message, data.hint ?? RENEWAL_FAULTS[code], { cause: data.cause });
    this.retryAfterMs = data.retryAfterMs ?? null;
  }
}

const TIMEOUTS: ReadonlySet<ErrorCode> = new Set(['CONNECTION_TIMEOUT', 'TLS_TIMEOUT', 'DNS_TIMEOUT']);

/** Any error as a fault: a connection that failed keeps its own words, anything unexpected is INTERNAL. */
export function asRenewalFault(error: unknown): RenewalFault {
  if (error instanceof RenewalFault) return error;
  if (error instanceof MtlsdError) {
    const { code, message, hint } = error;
    return new RenewalFault(TIMEOUTS.has(code) ? 'CA_TIMEOUT' : 'CA_UNREACHABLE', message, { hint, cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new RenewalFault('INTERNAL', `the renewal failed: ${said(message)}`, { cause: error });
}

/** A sentence of text from elsewhere: one line, bounded. */
export const said = (text: string): string => printable(text.trim(), 200);
