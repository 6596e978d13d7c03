/**
 * One request as its client spoke it, whichever version of HTTP that was, and the way back. h1.ts and h2.ts speak for their
 * versions; the exchange knows only this, and one contract test holds them to it (test/unit/proxy/client-contract.test.ts). The
 * order of calls back is `inform* (respond write* end | acceptTunnel)`, or `abort` at any point; that of events is
 * `onBody* onBodyEnd` once the body is asked for, and `onGone` in place of whatever did not come.
 */
import type { Duplex } from 'node:stream';
import type { Authority } from '../../core/authority.ts';
import type { MtlsdError } from '../../core/errors.ts';

/** What one client connection is known by; immutable, shared by all its exchanges. */
export interface ClientConnection {
  /** Where everything on it goes: CONNECT's target, never the Host field's or the SNI's. */
  readonly authority: Authority;
  /** `http` only for an absolute-form request in the clear; a certificate is never sent for one. */
  readonly scheme: 'http' | 'https';
  /** `ip:port` of the client. */
  readonly client: string;
  /** The proxy's user name, where one was given. */
  readonly profile: string | undefined;
  /** The SNI that the client sent, where it did. */
  readonly serverName: string | null;
  /** Sent upstream as host in place of the client's own: of an absolute-form URI, and of a local port's origin. */
  readonly host: string | null;
}

export interface ClientStream {
  readonly http: '1.0' | '1.1' | '2';
  readonly method: string;
  /** Origin-form: path and query. */
  readonly path: string;
  /** Flat `[name, value, …]`, as received; never pseudo-fields. */
  readonly fields: readonly string[];
  readonly hasBody: boolean;
  /** What was sent as authority in the request itself: the Host field or `:authority`. */
  readonly host: string | undefined;
  /** Another protocol asked for on the same stream (RFC 9110 §7.8, RFC 8441 §4): `websocket`; null for none. */
  readonly tunnel: string | null;
  /** Why it is answered here and never sent on. HTTP/1.1 refuses such a request before it is a stream. */
  readonly refusal: MtlsdError | null;
  /** Set once, before anything else is called. Where the client has left already, that calls `onGone`. */
  get events(): ClientEvents | null;
  set events(events: ClientEvents);
  /** The body flows from here on, or again; where the client waits for 100 (Continue), the first call answers it. */
  readBody(): void;
  pauseBody(): void;
  /** A 1xx other than 100 and 101; fields flat. Dropped where the client reads too slowly. */
  inform(status: number, fields: readonly string[]): void;
  /** @param ended nothing follows but `end([])`. @param close the connection ends with it (HTTP/1.1) */
  respond(status: number, reason: string, fields: string[], ended: boolean, close: boolean): void;
  /** False where the client's side is full: stop until onDrain. */
  write(chunk: Buffer): boolean;
  /** @param trailers flat; empty for none */
  end(trailers: readonly string[]): void;
  /**
   * Agrees to a tunnel; what comes after is the other protocol's.
   * @param fields of the response, end-to-end only
   * @param protocol the one that the origin chose of those in `tunnel`
   */
  acceptTunnel(fields: readonly string[], protocol: string): Duplex;
  /**
   * Ends a response that can't be completed, so that the client sees it as incomplete.
   * @param h2Code the origin's own reset code, to be passed on where the client speaks HTTP/2
   */
  abort(h2Code?: number): void;
}

export interface ClientEvents {
  onBody(chunk: Buffer): void;
  onBodyEnd(trailers: string[]): void;
  onClientDrain(): void;
  /** Ends a wait whose time is up. @param now as performance.now() */
  checkTime(now: number): void;
  /** The client left before the response was through, in HTTP/2 with a code; nothing comes after it. */
  onGone(h2Code?: number): void;
}
