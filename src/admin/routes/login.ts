/** Signing in: the only route that takes a form, and the only one that takes `Origin: null`, which a form in a file has. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { sendHtml } from '../html.ts';
import { AdminError } from '../problem.ts';
import { cookieName, type GuessSource, type Sessions } from '../session.ts';

export interface SignInOptions {
  readonly context: AdminContext;
  readonly sessions: Sessions;
}

/** A token or a code with its field name. */
const BODY_LIMIT = 1024;

export const loginRoutes: FastifyPluginAsync<SignInOptions> = async (app, { context, sessions }) => {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: BODY_LIMIT },
    (_request, text, done) => done(null, new URLSearchParams(text as string).get('secret') ?? ''),
  );

  app.post<{ Body: string }>('/login', { schema: { hide: true } }, async (request, reply) => {
    const source = sourceOf(request);
    const secret = typeof request.body === 'string' ? request.body.trim() : '';
    const outcome = sessions.signIn(secret, source);
    logChange(context, request, outcome.kind === 'signed-in' ? 'signed-in' : 'sign-in.refused', {
      ok: outcome.kind === 'signed-in',
    });
    const html = request.headers.accept?.includes('text/html') ?? false;
    if (outcome.kind === 'signed-in') {
      const name = cookieName(request.socket.localPort ?? 'unix');
      void reply.header('set-cookie', `${name}=${outcome.cookie}; Path=/; HttpOnly; SameSite=Strict`);
      if (html) return sendHtml(reply, 'Signed in', 'The page opens now.', true);
      return reply.code(204).send();
    }
    const error =
      outcome.kind === 'wrong'
        ? new AdminError(
            'WRONG_CODE',
            source === 'page' ? 'the code or the token is wrong' : 'the code is wrong',
            'a code is valid once and for 60 seconds: run mtlsd ui again',
          )
        : new AdminError('TOO_MANY_GUESSES', 'too many wrong codes', `try again in ${outcome.retryAfterSeconds} s`, {
            retryAfterSeconds: outcome.retryAfterSeconds,
          });
    if (!html) throw error;
    void reply.code(error.status);
    if (error.status === 429) void reply.header('retry-after', error.retryAfterSeconds);
    return sendHtml(reply, 'Not signed in', `${sentence(error.message)} ${sentence(error.hint)}`);
  });
};

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** @throws AdminError where a page of another origin sent the form */
function sourceOf({ headers }: FastifyRequest): GuessSource {
  if (headers.origin === 'null') return 'file';
  const site = headers['sec-fetch-site'];
  if (site === undefined || site === 'same-origin') return 'page';
  throw new AdminError('FOREIGN_ORIGIN', 'sign in on the page of mtlsd', 'run mtlsd ui');
}
