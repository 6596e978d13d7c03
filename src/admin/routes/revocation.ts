/** Whether the CRLs that the certificates of the store name list them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { StoreEntry } from '../../certs/store/snapshot.ts';
import { ANY_AUTHORITY } from '../../core/authority.ts';
import type { Plain } from '../../core/schema.ts';
import type { AdminContext } from '../context.ts';
import { ownRevocations, OwnRevocationSchema } from '../own-revocation.ts';
import { closed, failures, named } from '../schemas/common.ts';

export const OwnRevocationList = Type.Object(
  { certificates: Type.Array(Type.Object({ name: Type.String(), ...OwnRevocationSchema.properties }, closed)) },
  { ...closed, $id: 'OwnRevocationList', description: 'What CRLs say of the certificates of the store.' },
);
export type OwnRevocationList = Plain<typeof OwnRevocationList>;

export const revocationRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.get(
    '/api/v1/revocation',
    {
      schema: {
        operationId: 'listRevocation',
        summary: 'Whether our own certificates are revoked',
        description:
          'Downloads the CRL that each enabled certificate names by http, and looks the certificate up. Certificates that name none are left out. A CRL that can not be downloaded or verified is an answer too.',
        tags: ['certificates'],
        response: { 200: named(OwnRevocationList), ...failures },
      },
    },
    async (): Promise<OwnRevocationList> => {
      const { entries, ...store } = context.store.current;
      const anchors = () => Promise.resolve(store.choosePolicy(ANY_AUTHORITY).trust.certificates);
      const ask = ownRevocations(context.connectPlain, anchors);
      const answers = entries.map(async (entry) => {
        const { name, identity, enabled } = entry;
        if (!enabled || !identity) return [];
        const { leaf, issuer } = identity;
        const said = await ask({ leaf, issuer, file: null, next: nextStep(entry) });
        return said ? [{ name, ...said }] : [];
      });
      return { certificates: (await Promise.all(answers)).flat() };
    },
  );
};

function nextStep({ name, renew, source }: StoreEntry): string {
  if (renew) return `renew it: mtlsd cert renew ${name}`;
  const files = source.pfx === null ? '--cert FILE --key FILE' : '--pfx FILE';
  return `get a new certificate from its CA, then: mtlsd cert set ${name} ${files}`;
}
