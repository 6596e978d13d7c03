/**
 * One request as its client spoke it, whichever version of HTTP that was, and the way back. h1.ts and h2.ts speak for
 * their versions; the exchange knows only this.
 */
import type { Duplex, Readable } from 'node:stream';
import type { Authority } from '../../core/authority.ts';
import type { Decision } from '../decide.ts';
import type { Target } from '../upstream/pool.ts';

/** What one client connection is known by; shared by all its exchanges. */
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
  /** Sent upstream as host in place of the client's own, for clients that know this daemon by a name of its own. */
  readonly host: string | null;
  /** The last decision without per-request wishes; taken again when the store in force is another. */
  decision: Decision | null;
  /** Where that sends a request. */
  target: Target | null;
  /** The origin was found to speak HTTP/2 alone: asked for at once from then on. */
  http2Only: boolean;
  /** Exchanges under way: a drain waits for them. */
  active: number;
}

export interface ClientStream {
  readonly http: '1.0' | '1.1' | '2';
  readonly method: string;
  /** Origin-form: path and query. */
  readonly path: string;
  /** Flat `[name, value, …]`, as received; never pseudo-fields. */
  readonly fields: readonly string[];
  /** null where the request has none. */
  readonly body: Readable | null;
  /** What was sent as authority in the request itself: the Host field or `:authority`. */
  readonly host: string | undefined;
  /** Asked for once the body has ended; flat. */
  trailers(): string[];
  /** Another protocol asked for on the same stream (RFC 9110 §7.8, RFC 8441 §4): `websocket`; null for none. */
  readonly tunnel: string | null;
  /** Agrees to it; what comes after is the other protocol's. */
  acceptTunnel(fields: string[]): Duplex;
  /** The upstream is ready for the body: where the client waits for 100 (Continue), this answers it. */
  readyForBody(): void;
  /** A 1xx other than 100 and 101; fields flat. */
  inform(status: number, fields: string[]): void;
  /** @param ended nothing follows but `end([])` */
  respond(status: number, reason: string, fields: string[], ended: boolean): void;
  /** False where the client's side is full: stop until onDrain. */
  write(chunk: Buffer): boolean;
  /** @param trailers flat; empty for none */
  end(trailers: string[]): void;
  /**
   * Ends a response that can't be completed, so that the client sees it as incomplete.
   * @param h2Code the origin's own reset code, to be passed on where the client speaks HTTP/2
   */
  abort(h2Code?: number): void;
  /** Set once by the exchange. */
  onDrain: (() => void) | null;
  /** The client left before the response was through, in HTTP/2 with a code. Set once by the exchange. */
  onGone: ((h2Code?: number) => void) | null;
}
