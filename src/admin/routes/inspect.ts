/** What is in files, and would an entry made of them load: nothing is kept. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { AdminContext } from '../context.ts';
import { refuseContradiction, sourceOf } from '../identity-input.ts';
import { inspectSource } from '../inspect-source.ts';
import { AdminError } from '../problem.ts';
import { InspectAnswer, InspectBody } from '../schemas/certificate.ts';
import { failures, named } from '../schemas/common.ts';

export const inspectRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.post(
    '/api/v1/certificates/inspect',
    {
      schema: {
        operationId: 'inspectCertificate',
        summary: 'Look into files without adding them',
        description:
          'By path or by content. A file that would not load is an answer too: `usable` is false, `problems` says why.',
        tags: ['certificates'],
        body: InspectBody,
        response: { 200: named(InspectAnswer), ...failures },
      },
    },
    async ({ body }) => {
      refuseContradiction(body, true);
      const source = sourceOf(body, null, context.home);
      if (!source) throw new AdminError('BAD_REQUEST', 'the passphrase is missing', 'give passphrase');
      return inspectSource(source);
    },
  );
};
