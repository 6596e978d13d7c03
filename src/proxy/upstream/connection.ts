/**
 * One connection to an origin that may be written to, and what is known of it: its record, how often it was used, and whether
 * the server has accepted our certificate.
 *
 * In TLS 1.3 the client is done before the server has looked at the client's certificate; a refusal arrives on the first read
 * (RFC 8446 §4.4.2.4). A session ticket (§4.6.1, sent after the client's Finished was verified) or any data says "accepted";
 * an alert or an end says "refused"; a server that stays silent is presumed to have accepted after a time.
 */
import type { Socket } from 'node:net';
import type { MtlsdError } from '../../core/errors.ts';
import type { ConnectionRecord } from '../../inspect/records/types.ts';

export type Settlement = 'undecided' | 'accepted' | 'presumed' | 'refused';

export interface SettlementRules {
  /** How long an undecided server may stay silent until it is presumed to have accepted. */
  readonly capMs: number;
  /** The record once the outcome is known, out on the log by then. */
  readonly accepted: (settleMs: number) => ConnectionRecord;
  /** Why there is no connection, in place of a record of success; the failed record is out by then. */
  readonly refused: (error: Error | null, written: boolean) => MtlsdError;
}

/** What speaks against another request on a connection that was verified once. */
export interface Standing {
  /** Whether a CRL that came since lists a certificate of the server. */
  readonly revoked: () => boolean;
  /** Whether what the verdict rests on is valid no longer, as it ended or the clock was set: certificates of either side, CRL, staple. */
  readonly lapsed: () => boolean;
}

const WITHOUT_CERTIFICATES: Standing = { revoked: () => false, lapsed: () => false };

export class UpstreamConnection {
  readonly socket: Socket;
  readonly standing: Standing;
  /** Requests written to it. */
  uses = 0;
  /** The error that ended it. */
  error: Error | null = null;
  /** Why the server refused our certificate after the handshake. */
  refusal: MtlsdError | null = null;
  #record: ConnectionRecord | null;
  #settlement: Settlement;
  /** A close without a word before then (performance.now()) is probably a refusal. */
  #doubtUntil: number;
  readonly #rules: SettlementRules | null;
  readonly #from = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #waiting: (() => void)[] = [];

  /**
   * @param record null for plain HTTP
   * @param doubtMs for a server that asked for a certificate and can't be waited for: TLS 1.2 refuses within the handshake,
   *   but Node's servers just after it
   */
  constructor(
    socket: Socket,
    record: ConnectionRecord | null,
    rules: SettlementRules | null = null,
    doubtMs = 0,
    standing = WITHOUT_CERTIFICATES,
  ) {
    this.socket = socket;
    this.standing = standing;
    this.#record = record;
    this.#rules = rules;
    this.#settlement = rules ? 'undecided' : 'accepted';
    this.#doubtUntil = doubtMs > 0 ? this.#from + doubtMs : 0;
    socket.on('error', (error) => {
      this.error ??= error;
    });
    socket.once('close', () => this.lost(null));
    if (!rules) return;
    // Not at once: an alert may be in the same read, and Node emits 'session' in the middle of OpenSSL's read, where a write
    // breaks the record layer (24.21).
    socket.once('session', () => setImmediate(() => this.heard()));
    this.#timer = setTimeout(() => {
      this.#doubtUntil = performance.now() + rules.capMs;
      this.#settle('presumed');
    }, rules.capMs);
  }

  get record(): ConnectionRecord | null {
    return this.#record;
  }

  get settlement(): Settlement {
    return this.#settlement;
  }

  /** The server asked for a certificate and has not said what it thinks of what it got. */
  get inDoubt(): boolean {
    return performance.now() < this.#doubtUntil;
  }

  get alpn(): string | null {
    return this.#record?.tls?.alpn ?? null;
  }

  /** The server said something: it has accepted. */
  heard(): void {
    if (this.#settlement === 'undecided') this.#settle('accepted');
    this.#doubtUntil = 0;
  }

  /** We end it ourselves: whether the server accepts our certificate stays unknown, and is not a refusal. */
  end(): void {
    this.abandon();
    this.socket.destroy();
  }

  /** The same before the socket is ended in another way. */
  abandon(): void {
    if (this.#settlement === 'undecided') this.#settle('presumed');
    this.#doubtUntil = 0;
  }

  /** The connection ended; may be called more than once. */
  lost(error: Error | null): void {
    this.error ??= error;
    if (this.#settlement !== 'undecided') return;
    this.#settlement = 'refused';
    this.refusal = this.#rules?.refused(this.error, this.uses > 0) ?? null;
    this.#wake();
  }

  /** Calls back once the server has accepted, is presumed to have, or has refused; at once where that is known. */
  whenSettled(callback: () => void): void {
    if (this.#settlement === 'undecided') this.#waiting.push(callback);
    else callback();
  }

  #settle(to: 'accepted' | 'presumed'): void {
    this.#settlement = to;
    this.#record = this.#rules?.accepted(performance.now() - this.#from) ?? this.#record;
    this.#wake();
  }

  #wake(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) callback();
  }
}

/** Plain HTTP: nothing to verify, nothing to present, nothing to record. */
export const plainConnection = (socket: Socket): UpstreamConnection => new UpstreamConnection(socket, null);
