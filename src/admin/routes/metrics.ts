/** Prometheus text. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { AdminContext } from '../context.ts';
import { failures } from '../schemas/common.ts';

export const metricsRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, { metrics }) => {
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'metrics',
        summary: 'Prometheus metrics',
        description: 'docs/admin-api.md lists them.',
        tags: ['daemon'],
        produces: ['text/plain'],
        response: {
          200: { description: 'Text format 0.0.4.', content: { 'text/plain': { schema: Type.String() } } },
          ...failures,
        },
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
  );
};
