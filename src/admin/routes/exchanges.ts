/** The recent exchanges and the TLS connections that they went over, and all of them as an HTTP archive. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { pairsOf, type RecordedHead, redactFields } from '../../inspect/records/fields.ts';
import { toHar } from '../../inspect/records/har.ts';
import { ConnectionSchema, ExchangeSchema } from '../../inspect/records/types.ts';
import { logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { closed, failures, flag, named, text } from '../schemas/common.ts';
import { type ExchangeFields, ExchangeFieldsSchema, ExchangeFilter, ExchangeList } from '../schemas/records.ts';

const tags = ['records'];
const Id = Type.Object({
  id: Type.String({ pattern: '^[cxt]-[0-9a-z-]{1,60}$', errorMessage: 'an id such as x-1a2b3c4d-7' }),
});
const limit = (fallback: number) =>
  Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, default: fallback, errorMessage: 'a number from 1 to 10000' }),
  );
const before = Type.Optional(text('Only those older than this exchange.', 'the id of an exchange', { maxLength: 64 }));
const withSecrets = flag('Values of credentials and cookies too. 409 where `records.fields` is not `all`.', false);

export const exchangeRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const { recorder, version, fieldPolicy } = context;
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
      // One more than the page holds shows whether there are more.
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
    '/api/v1/exchanges/:id/fields',
    {
      schema: {
        operationId: 'showExchangeFields',
        summary: 'The header fields of one exchange',
        description:
          'Where `records.fields` is `redacted` or `all`. Secret values are redacted unless they are asked for.',
        tags,
        params: Id,
        querystring: Type.Object({ with_secrets: withSecrets }, closed),
        response: { 200: named(ExchangeFieldsSchema), ...failures },
      },
    },
    (request): ExchangeFields => {
      const { id } = request.params;
      const { with_secrets: secrets = false } = request.query;
      if (secrets) requireSecrets(context);
      const recorded = recorder.recorded(id) ?? gone('exchange', id);
      if (secrets) logChange(context, request, 'secrets.shown', { exchange: id });
      const { fields } = recorded;
      const shown = fields && (secrets ? fields : redactFields(fields));
      return { kept: fieldPolicy, request: headOf(shown?.request), response: headOf(shown?.response) };
    },
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
          'With what TLS showed under `_tls`. Header fields are there where `records.fields` is `redacted` or `all`; bodies are not remembered.',
        tags,
        querystring: Type.Object({ ...ExchangeFilter, limit: limit(10_000), with_secrets: withSecrets }, closed),
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
    (request, reply) => {
      const { with_secrets: secrets = false, ...query } = request.query;
      if (secrets) requireSecrets(context);
      const exchanges = recorder.listRecorded({ limit: 10_000, ...query });
      if (secrets) logChange(context, request, 'secrets.exported', {});
      void reply.header('content-disposition', 'attachment; filename="mtlsd.har"');
      const connectionOf = (id: string) => recorder.connection(id);
      return toHar({ exchanges, connectionOf, version, fieldPolicy, withSecrets: secrets });
    },
  );
};

/** Better an error now than an archive without the secrets that the user asked for. */
function requireSecrets({ fieldPolicy }: AdminContext): void {
  if (fieldPolicy !== 'all')
    throw new AdminError(
      'NOT_RECORDED',
      `no secret values are kept: records.fields is ${fieldPolicy}`,
      'set records.fields to all in mtlsd.yaml, restart the daemon and repeat the requests; or leave out with_secrets',
    );
}

function headOf(head: RecordedHead | null | undefined): ExchangeFields['request'] {
  if (!head) return null;
  const { fields, bytes, omitted } = head;
  return { fields: pairsOf(fields).map(([name, value]) => ({ name, value })), bytes, omitted };
}

function gone(what: string, id: string): never {
  throw new AdminError('NOT_FOUND', `no ${what} ${id} is remembered`, 'only the recent ones are; the log has them all');
}
