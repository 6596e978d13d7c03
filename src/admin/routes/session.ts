/** One-time codes for the page, and its sign-out. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { logChange } from '../changes.ts';
import { AdminError } from '../problem.ts';
import { closed, failures, Time } from '../schemas/common.ts';
import type { SignInOptions } from './login.ts';

const Code = Type.Object(
  {
    code: Type.String({ description: 'Valid once, as `secret` of a form that is posted to `/login`.' }),
    expires: Time,
  },
  closed,
);
const tags = ['daemon'];

export const sessionRoutes: FastifyPluginAsyncTypebox<SignInOptions> = async (app, { context, sessions }) => {
  app.post(
    '/api/v1/session/codes',
    {
      schema: {
        operationId: 'createCode',
        summary: 'Make a one-time code for the page',
        description: '128 random bits, valid once and for 60 seconds. Requires the token: a session makes no codes.',
        tags,
        response: { 201: Code, ...failures },
      },
    },
    (request, reply) => {
      if (request.session)
        throw new AdminError('TOKEN_REQUIRED', 'a session makes no codes', 'run mtlsd ui in a terminal', {
          status: 403,
        });
      const { code, expires } = sessions.createCode();
      logChange(context, request, 'code.created', {});
      void reply.code(201);
      return { code, expires: expires.toISOString() };
    },
  );

  app.delete(
    '/api/v1/session',
    {
      schema: {
        operationId: 'signOut',
        summary: 'Sign out',
        description: 'Ends the session of the page that asks, and its streams of events. Nothing to do for others.',
        tags,
        response: { 204: Type.Null({ description: 'Signed out.' }), ...failures },
      },
    },
    (request, reply) => {
      if (request.session) {
        sessions.end(request.session);
        logChange(context, request, 'signed-out', {});
      }
      void reply.code(204);
      return null;
    },
  );
};
