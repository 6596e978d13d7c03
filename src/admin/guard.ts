/** Who may use the admin API: no page on the web, nobody without the token, nobody under another name. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isLoopback, parseAuthority } from '../core/authority.ts';
import type { Secret } from '../core/secret.ts';
import { AdminError } from './problem.ts';

/** Readable without a token: nothing in them is secret or changes anything. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/ca.pem', '/ca.crt', '/proxy.pac']);

export interface Guard {
  /** Before anything else: the Host and Origin of every request, open paths too. */
  checkPlace(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  checkToken(request: FastifyRequest): void;
}

export function createGuard(token: Secret): Guard {
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
        throw new AdminError(
          421,
          'WRONG_HOST',
          'this Host is not served here',
          'use the address that mtlsd status shows',
        );
      const { origin } = request.headers;
      if (origin !== undefined && origin !== `http://${request.headers.host}`)
        throw new AdminError(
          403,
          'FOREIGN_ORIGIN',
          'requests from other web pages are refused',
          'use the page or the command line of mtlsd itself',
        );
    },
    checkToken(request) {
      const [, given] = /^bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? '') ?? [];
      if (given !== undefined && timingSafeEqual(sha256(given), wanted)) return;
      throw new AdminError(
        401,
        'TOKEN_REQUIRED',
        given === undefined ? 'the admin API needs its token' : 'the token is wrong',
        'send Authorization: Bearer with the content of admin.token in the home folder',
      );
    },
  };
}

function isOwnHost(host: string | undefined): boolean {
  if (host === undefined) return false;
  if (host === 'unix') return true; // what the command line sends over a UNIX socket
  try {
    const authority = parseAuthority(host, 80);
    return authority.host === 'localhost' || isLoopback(authority.host);
  } catch {
    return false;
  }
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
