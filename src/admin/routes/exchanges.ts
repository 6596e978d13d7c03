import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';

const Id = Type.Object({ id: Type.String({ maxLength: 64 }) });

/** The recent exchanges and the TLS connections that they went over. */
export const exchangeRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, { recorder }) => {
  const Query = Type.Object(
    {
      host: Type.Optional(Type.String({ maxLength: 255 })),
      failed: Type.Optional(Type.Boolean()),
      certificate: Type.Optional(Type.String({ maxLength: 100 })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
      before: Type.Optional(Type.String({ maxLength: 64 })),
    },
    { additionalProperties: false },
  );
  app.get(
    '/api/v1/exchanges',
    { schema: { description: 'Recent exchanges, newest first.', querystring: Query } },
    ({ query }) => ({ exchanges: recorder.listExchanges(query) }),
  );
  app.get('/api/v1/exchanges/:id', { schema: { description: 'One exchange.', params: Id } }, ({ params }) => {
    return recorder.exchange(params.id) ?? gone('exchange', params.id);
  });
  app.get(
    '/api/v1/connections/:id',
    { schema: { description: 'One TLS connection to an origin.', params: Id } },
    ({ params }) => {
      return recorder.connection(params.id) ?? gone('connection', params.id);
    },
  );
};

function gone(what: string, id: string): never {
  throw new AdminError(
    404,
    'NOT_FOUND',
    `no ${what} ${id} is remembered`,
    'only the recent ones are; the log has them all',
  );
}
