/** Who may use the admin API: requests with the token or a session, under the API's own name (which prevents DNS rebinding), and no other web page. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isLoopback, parseAuthority } from '../core/authority.ts';
import type { Secret } from '../core/secret.ts';
import { tryOr } from '../core/try-or.ts';
import { AdminError } from './problem.ts';
import type { Session, Sessions } from './session.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the page that sent the request; null for requests with the token, and on open paths. */
    session: Session | null;
  }
}

const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/healthz',
  '/readyz',
  '/ca.pem',
  '/ca.crt',
  '/proxy.pac',
  '/',
  '/login',
]);

/** Needs no token: nothing in them is secret, and only `/login` changes something, by a separate secret. */
export function isOpen(url: string): boolean {
  const [path = ''] = url.split('?');
  return OPEN_PATHS.has(path) || path.startsWith('/assets/');
}

export interface Guard {
  /** Before anything else: the Host and Origin of every request, open paths too. */
  checkPlace(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** The token, or the session of the page; sets `request.session`. */
  checkCaller(request: FastifyRequest): void;
}

export function createGuard(token: Secret, sessions: Sessions): Guard {
  const wanted = sha256(token.reveal());
  return {
    async checkPlace(request, reply) {
      reply.headers({
        'X-Content-Type-Options': 'nosniff',
        'X-Frame-Options': 'DENY',
        'Referrer-Policy': 'no-referrer',
        'Cross-Origin-Resource-Policy': 'same-origin',
        'Cache-Control': 'no-store',
      });
      // DNS rebinding: a name of an attacker's that resolves to 127.0.0.1 has that name in Host.
      if (!isOwnHost(request.headers.host))
        throw new AdminError('WRONG_HOST', 'this Host is not served here', 'use the address that mtlsd status shows');
      const { origin } = request.headers;
      // A form in a file has the origin null: `mtlsd ui` writes one, and a one-time code is in it.
      const isFile = origin === 'null' && request.method === 'POST' && request.url === '/login';
      if (origin !== undefined && !isFile && origin !== `http://${request.headers.host}`)
        throw new AdminError(
          'FOREIGN_ORIGIN',
          'requests from other web pages are refused',
          'use the page or the command line of mtlsd itself',
        );
    },
    checkCaller(request) {
      const { authorization, cookie } = request.headers;
      const [, given] = /^bearer\s+(\S+)\s*$/i.exec(authorization ?? '') ?? [];
      if (given !== undefined && timingSafeEqual(sha256(given), wanted)) return;
      const session = given === undefined ? sessions.find(cookie) : null;
      if (session) {
        refuseForeignPage(request);
        request.session = session;
        return;
      }
      throw new AdminError(
        'TOKEN_REQUIRED',
        given === undefined ? 'the admin API requires its token' : 'the token is wrong',
        'send Authorization: Bearer with the content of admin.token in the home folder; in a browser, sign in with mtlsd ui',
      );
    },
  };
}

/**
 * A cookie comes with what other pages make a browser send too. SameSite=Strict keeps other sites away, and every port of
 * this host is the same site: only these fields, which no script can set, identify a page at 127.0.0.1:3000
 * (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header).
 */
function refuseForeignPage({ method, headers }: FastifyRequest): void {
  const reads = method === 'GET' || method === 'HEAD';
  if (headers['sec-fetch-site'] === 'same-origin' && (reads || headers.origin !== undefined)) return;
  throw new AdminError(
    'FOREIGN_ORIGIN',
    'a session is accepted from the page of mtlsd only',
    'use the page in a current browser, or send the token',
  );
}

function isOwnHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  if (host === 'unix') return true; // what the command line sends over a UNIX socket
  const authority = tryOr(() => parseAuthority(host, 80), null);
  return authority !== null && (authority.host === 'localhost' || isLoopback(authority.host));
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
