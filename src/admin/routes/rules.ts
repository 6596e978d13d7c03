/** The rules of the verification section, one by one, by their host and port. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { canonicalPattern, type HostPort, hostPortText } from '../../core/hosts.ts';
import type { RuleFields } from '../../certs/store/schema.ts';
import type { StoreSnapshot } from '../../certs/store/snapshot.ts';
import { changeStore, etagOfValue, logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { placeAt, ruleAt } from '../rules.ts';
import { failures, shapeOf, WriteHeaders } from '../schemas/common.ts';
import { RuleBody, RuleParams, RuleSchema } from '../schemas/store.ts';
import { anchorsOf, Uploads } from '../uploads.ts';

const PATH = '/api/v1/verification/rules/:host/:port';
const tags = ['store'];
const Rule = shapeOf<RuleFields>(RuleSchema);

export const ruleRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const uploads = new Uploads(context.home);
  app.get(
    PATH,
    {
      schema: {
        operationId: 'showRule',
        summary: 'The rule with exactly this host and port',
        description: 'GET /api/v1/match tells which rule applies to an authority.',
        tags,
        params: RuleParams,
        response: { 200: Rule, ...failures },
      },
    },
    ({ params }, reply) => {
      const place = placeOf(params);
      const rule = ruleAt(context.store.current, place);
      if (!rule) throw notFound(place);
      void reply.header('etag', etagOfValue(rule));
      return rule;
    },
  );

  app.put(
    PATH,
    {
      schema: {
        operationId: 'putRule',
        summary: 'Set the rule for this host and port',
        description: '201 where there was none, 200 where it was replaced. The rules stay in their order.',
        tags,
        params: RuleParams,
        headers: WriteHeaders,
        body: RuleBody,
        response: { 200: Rule, 201: Rule, ...failures },
      },
    },
    async (request, reply) => {
      const place = placeOf(request.params);
      const { body } = request;
      if (body.host !== undefined && canonicalPattern(body.host) !== place.host) throw elsewhere('host', body.host);
      if (body.port !== undefined && body.port !== place.port) throw elsewhere('port', body.port);
      const existed = ruleAt(context.store.current, place) !== undefined;
      const rule: RuleFields = { ...place, ...body, ...place };
      const files = anchorsOf(context.store.current);
      const snapshot = await changeStore(context, request, {
        etagOf: (store) => etagAt(store, place),
        edit: { do: 'put-rule', rule },
      });
      await uploads.sweepFiles(files, snapshot);
      logChange(context, request, existed ? 'rule.changed' : 'rule.added', {
        rule: hostPortText(place),
        ...(body.mode && { mode: body.mode }),
      });
      const written = ruleAt(snapshot, place) ?? rule;
      void reply.code(existed ? 200 : 201).header('etag', etagOfValue(written));
      if (!existed) void reply.header('location', request.url.split('?')[0] ?? '');
      return written;
    },
  );

  app.delete(
    PATH,
    {
      schema: {
        operationId: 'removeRule',
        summary: 'Remove the rule',
        description: 'The host is then verified like all others.',
        tags,
        params: RuleParams,
        headers: WriteHeaders,
        response: { 204: Type.Null({ description: 'Removed.' }), ...failures },
      },
    },
    async (request, reply) => {
      const place = placeOf(request.params);
      if (!ruleAt(context.store.current, place)) throw notFound(place);
      const files = anchorsOf(context.store.current);
      const snapshot = await changeStore(context, request, {
        etagOf: (store) => etagAt(store, place),
        edit: { do: 'remove-rule', ...place },
      });
      await uploads.sweepFiles(files, snapshot);
      logChange(context, request, 'rule.removed', { rule: hostPortText(place) });
      void reply.code(204);
      return null;
    },
  );
};

function placeOf({ host, port }: RuleParams): HostPort {
  const number = Number(port);
  if (port !== '*' && (number < 1 || number > 65535))
    throw new AdminError('BAD_REQUEST', `${port} is not a port`, 'a port from 1 to 65535, or *');
  return placeAt(host, port === '*' ? '*' : number);
}

function etagAt(store: StoreSnapshot, place: HostPort): string | null {
  const rule = ruleAt(store, place);
  return rule ? etagOfValue(rule) : null;
}

function notFound(place: HostPort): AdminError {
  return new AdminError(
    'NOT_FOUND',
    `there is no rule for ${hostPortText(place)}`,
    'mtlsd verification show lists the rules',
  );
}

function elsewhere(field: string, value: string | number): AdminError {
  return new AdminError(
    'BAD_REQUEST',
    `${field} is ${JSON.stringify(value)} in the body and another in the address`,
    'leave it out of the body',
  );
}
