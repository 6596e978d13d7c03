/**
 * Who is signed in to the page: one-time codes, sessions, and a limit on guesses. All of it is in memory, so it ends with
 * the daemon. Secrets are kept as SHA-256 only.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../core/secret.ts';

/** A person copies a code within this time. */
const CODE_LIFE_MS = 60_000;
/** Each `mtlsd ui` makes one; making more requires the token. */
const MOST_CODES = 16;
/** A working day and its evening. */
const IDLE_MS = 12 * 3_600_000;
/** Each browser profile has one; a new session replaces the one that was idle longest. */
const MOST_SESSIONS = 64;
/** Ten mistyped codes are more than a person needs; after that, one guess in six seconds is allowed. */
const GUESSES = 10;
const GUESS_EVERY_MS = 6_000;

export interface Session {
  /** Aborted on sign-out, after 12 idle hours, and when the daemon ends: streams of events end with it. */
  readonly ended: AbortSignal;
  /** False once it has been idle for too long; it then ends. */
  isLive(): boolean;
}

/** Where a guess comes from: a file that `mtlsd ui` wrote, or the page. Each has a separate limit. */
export type GuessSource = 'file' | 'page';

export type SignIn =
  | { readonly kind: 'signed-in'; readonly cookie: string }
  | { readonly kind: 'wrong' }
  | { readonly kind: 'limited'; readonly retryAfterSeconds: number };

export interface Sessions {
  /** 128 bits, valid once and for 60 s. */
  createCode(): { readonly code: string; readonly expires: Date };
  /** @param secret a code; or the token too, where it was typed into the page's own form */
  signIn(secret: string, source: GuessSource): SignIn;
  /** The session of a Cookie field; each use restarts its 12 hours. */
  find(cookieField: string | undefined): Session | null;
  end(session: Session): void;
  close(): void;
}

interface Kept extends Session {
  readonly abort: AbortController;
  readonly hash: string;
  usedMs: number;
}

/** @param now in ms, never going back */
export function createSessions(token: Secret, now: () => number = () => performance.now()): Sessions {
  const tokenHash = hashOf(token.reveal());
  const codes = new Map<string, number>();
  const sessions = new Map<string, Kept>();
  const buckets = { file: createBucket(now), page: createBucket(now) };

  const takeCode = (hash: string): boolean => {
    for (const [kept, until] of codes) if (until <= now()) codes.delete(kept);
    // A map's own comparison leaks no more than the hash of a guess.
    return codes.delete(hash);
  };
  const end = (session: Kept): void => {
    sessions.delete(session.hash);
    session.abort.abort();
  };
  const isLive = (session: Kept): boolean => {
    if (session.ended.aborted) return false;
    if (now() - session.usedMs < IDLE_MS) return true;
    end(session);
    return false;
  };

  return {
    createCode() {
      const code = randomBytes(16).toString('base64url');
      if (codes.size >= MOST_CODES) codes.delete(codes.keys().next().value ?? '');
      codes.set(hashOf(code), now() + CODE_LIFE_MS);
      return { code, expires: new Date(Date.now() + CODE_LIFE_MS) };
    },
    signIn(secret, source) {
      const waitMs = buckets[source].waitMs();
      if (waitMs > 0) return { kind: 'limited', retryAfterSeconds: Math.ceil(waitMs / 1000) };
      const hash = hashOf(secret);
      const known = takeCode(hash) || (source === 'page' && timingSafeEqual(Buffer.from(hash), Buffer.from(tokenHash)));
      if (!known) {
        buckets[source].spend();
        return { kind: 'wrong' };
      }
      const cookie = randomBytes(32).toString('base64url');
      const abort = new AbortController();
      const session: Kept = {
        abort,
        ended: abort.signal,
        hash: hashOf(cookie),
        usedMs: now(),
        isLive: () => isLive(session),
      };
      const [oldest] = [...sessions.values()].sort((a, b) => a.usedMs - b.usedMs);
      if (oldest && sessions.size >= MOST_SESSIONS) end(oldest);
      sessions.set(session.hash, session);
      return { kind: 'signed-in', cookie };
    },
    find(cookieField) {
      // Another server on this host may have set one of the same name, so each is tried.
      for (const value of cookieValues(cookieField)) {
        const session = sessions.get(hashOf(value));
        if (!session || !isLive(session)) continue;
        session.usedMs = now();
        return session;
      }
      return null;
    },
    end: (session) => end(session as Kept),
    close() {
      for (const session of sessions.values()) end(session);
    },
  };
}

/** Cookies don't know ports: with the port in its name, two daemons on one host keep their own. */
export const cookieName = (port: number | string): string => `mtlsd-session-${port}`;

const SESSION_COOKIE = /(?:^|;\s*)mtlsd-session-\w+=([A-Za-z0-9_-]{43})(?=;|$)/g;

function cookieValues(field: string | undefined): string[] {
  return [...(field ?? '').matchAll(SESSION_COOKIE)].map(([, value = '']) => value);
}

function createBucket(now: () => number) {
  let left = GUESSES;
  let filledMs = now();
  const fill = (): void => {
    const gained = Math.floor((now() - filledMs) / GUESS_EVERY_MS);
    left = Math.min(GUESSES, left + gained);
    filledMs += gained * GUESS_EVERY_MS;
  };
  return {
    /** Until the next guess is allowed; 0 for now. */
    waitMs(): number {
      fill();
      return left > 0 ? 0 : filledMs + GUESS_EVERY_MS - now();
    },
    spend(): void {
      left -= 1;
    },
  };
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
