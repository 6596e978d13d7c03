/** A dry run: which certificate, rule and decision an authority would get. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { parseAuthority } from '../../core/authority.ts';
import type { AdminContext } from '../context.ts';
import { explainMatch } from '../explain-match.ts';
import { failures, named } from '../schemas/common.ts';
import { MatchQuery, MatchSchema } from '../schemas/match.ts';

export const matchRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, { store, within }) => {
  app.get(
    '/api/v1/match',
    {
      schema: {
        operationId: 'match',
        summary: 'What a request would get',
        description:
          'Certificate, rule and interception for an authority, and why the others lost. Nothing is sent anywhere.',
        tags: ['inspect'],
        querystring: MatchQuery,
        response: { 200: named(MatchSchema), ...failures },
      },
    },
    ({ query }) => {
      const { authority, ...wish } = query;
      return explainMatch(store.current, parseAuthority(authority, 443), wish, within);
    },
  );
};
