/** The recent exchanges and the TLS connections that they went over, and all of them as an HTTP archive. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { toHar } from '../../inspect/records/har.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { closed, failures, named } from '../schemas/common.ts';
import { ConnectionSchema, ExchangeFilter, ExchangeList, ExchangeSchema } from '../schemas/records.ts';

const tags = ['records'];
const Id = Type.Object({
  id: Type.String({ pattern: '^[cxt]-[0-9a-z-]{1,60}$', errorMessage: 'an id such as x-1a2b3c4d-7' }),
});
const limit = (fallback: number) =>
  Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, default: fallback, errorMessage: 'a number from 1 to 10000' }),
  );
const before = Type.Optional(
  Type.String({
    maxLength: 64,
    description: 'Only those older than this exchange.',
    errorMessage: 'the id of an exchange',
  }),
);

export const exchangeRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, { recorder, version }) => {
  app.get(
    '/api/v1/exchanges',
    {
      schema: {
        operationId: 'listExchanges',
        summary: 'Recent exchanges',
        description: 'Newest first; as many are remembered as the settings say.',
        tags,
        querystring: Type.Object({ ...ExchangeFilter, limit: limit(100), before }, closed),
        response: { 200: named(ExchangeList), ...failures },
      },
    },
    ({ query }) => {
      const { limit = 100 } = query;
      // One more than is shown tells whether there are more.
      const found = recorder.listExchanges({ ...query, limit: limit + 1 });
      const exchanges = found.slice(0, limit);
      return { exchanges, next: found.length > limit ? (exchanges.at(-1)?.exchange ?? null) : null };
    },
  );
  app.get(
    '/api/v1/exchanges/:id',
    {
      schema: {
        operationId: 'showExchange',
        summary: 'One exchange',
        description: 'While it is remembered.',
        tags,
        params: Id,
        response: { 200: named(ExchangeSchema), ...failures },
      },
    },
    ({ params }) => recorder.exchange(params.id) ?? gone('exchange', params.id),
  );
  app.get(
    '/api/v1/connections/:id',
    {
      schema: {
        operationId: 'showConnection',
        summary: 'One TLS connection to an origin',
        description: 'While it is remembered.',
        tags,
        params: Id,
        response: { 200: named(ConnectionSchema), ...failures },
      },
    },
    ({ params }) => recorder.connection(params.id) ?? gone('connection', params.id),
  );
  app.get(
    '/api/v1/export.har',
    {
      schema: {
        operationId: 'exportHar',
        summary: 'The recent exchanges as HAR 1.2',
        description:
          'With what TLS showed under `_tls`; header fields and bodies are not remembered, so they are empty.',
        tags,
        querystring: Type.Object({ ...ExchangeFilter, limit: limit(10_000) }, closed),
        response: {
          200: Type.Unsafe<object>({
            type: 'object',
            description: 'http://www.softwareishard.com/blog/har-12-spec/',
            required: ['log'],
            properties: { log: { type: 'object' } },
          }),
          ...failures,
        },
      },
    },
    ({ query }, reply) => {
      void reply.header('content-disposition', 'attachment; filename="mtlsd.har"');
      const exchanges = recorder.listExchanges({ limit: 10_000, ...query });
      return toHar({ exchanges, connectionOf: (id) => recorder.connection(id), version });
    },
  );
};

function gone(what: string, id: string): never {
  throw new AdminError('NOT_FOUND', `no ${what} ${id} is remembered`, 'only the recent ones are; the log has them all');
}
