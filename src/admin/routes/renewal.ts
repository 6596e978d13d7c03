/** Renew a certificate now, or rehearse it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { AdminError } from '../problem.ts';
import { closed, failures, flag, named, nullable, Time } from '../schemas/common.ts';
import { findEntry, NameParams } from './certificates.ts';

export const RenewalAnswer = Type.Object(
  {
    renewed: Type.Boolean({
      description: 'False after a rehearsal, and where the files held a new certificate already: then that is used.',
    }),
    dry_run: Type.Boolean(),
    fingerprint_before: Type.String(),
    fingerprint_after: nullable(Type.String()),
    not_after: { ...Time, description: 'The end of the certificate that is used now.' },
    next: nullable({ ...Time, description: 'When it is renewed next.' }),
  },
  { ...closed, $id: 'Renewal', description: 'What came of a renewal.' },
);
export type RenewalAnswer = Static<typeof RenewalAnswer>;

const Query = Type.Object(
  {
    dry_run: flag('true only looks whether it would work: the CA is reached and nothing is issued or written.', false),
  },
  closed,
);

export const renewalRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.post(
    '/api/v1/certificates/:name/renew',
    {
      schema: {
        operationId: 'renewCertificate',
        summary: 'Renew a certificate now',
        description:
          'As `renew:` of its entry says. Joins a renewal that is under way; nothing changes where it fails, and `code` says why.',
        tags: ['certificates'],
        params: NameParams,
        querystring: Query,
        response: { 200: named(RenewalAnswer), ...failures },
      },
    },
    async (request) => {
      const { name } = request.params;
      const { dry_run = false } = request.query;
      const before = findEntry(context.store.current, name);
      if (before.renew === null)
        throw new AdminError('NO_RENEWAL', `${name} has no renew:`, 'set renew to { est }, { step } or { command }');
      logChange(context, request, dry_run ? 'certificate.renewal_rehearsed' : 'certificate.renew', { name });
      if (dry_run) await context.renewals.rehearse(name);
      const outcome = dry_run ? null : await context.renewals.renew(name);
      const now = findEntry(context.store.current, name).identity ?? before.identity;
      return {
        renewed: outcome !== null,
        dry_run,
        fingerprint_before: outcome?.fingerprintBefore ?? before.identity?.leaf.fingerprint256 ?? '',
        fingerprint_after: outcome?.fingerprintAfter ?? null,
        not_after: (outcome?.notAfter ?? now?.leaf.validToDate ?? new Date(0)).toISOString(),
        next: context.renewals.statusOf(name)?.next ?? null,
      };
    },
  );
};
