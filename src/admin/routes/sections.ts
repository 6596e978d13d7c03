/** The sections of the store that are one object each: verification, trust, interception. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { TSchema } from 'typebox';
import type { StoreEdit } from '../../certs/store/edit-value.ts';
import type { StoreSections } from '../../certs/store/schema.ts';
import { changeStore, etagOfValue, logChange } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { failures, shapeOf, WriteHeaders } from '../schemas/common.ts';
import { InterceptionSchema, TrustSchema, VerificationSchema } from '../schemas/store.ts';
import { anchorsOf, Uploads } from '../uploads.ts';

interface Section {
  readonly name: keyof StoreSections;
  readonly schema: TSchema;
  readonly summary: string;
  readonly edit: (value: never) => StoreEdit;
}

const SECTIONS: readonly Section[] = [
  {
    name: 'verification',
    schema: VerificationSchema,
    summary: 'How servers are verified, and the rules by host',
    edit: (verification) => ({ do: 'set-verification', verification }),
  },
  {
    name: 'trust',
    schema: TrustSchema,
    summary: 'Which CAs are trusted for servers',
    edit: (trust) => ({ do: 'set-trust', trust }),
  },
  {
    name: 'interception',
    schema: InterceptionSchema,
    summary: 'Which connections are looked into',
    edit: (interception) => ({ do: 'set-interception', interception }),
  },
];

export const sectionRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const uploads = new Uploads(context.home);
  for (const { name, schema, summary, edit } of SECTIONS) {
    const title = `${name[0]?.toUpperCase()}${name.slice(1)}`;
    const response = { 200: shapeOf<object>(schema), ...failures };
    app.get(
      `/api/v1/${name}`,
      {
        schema: {
          operationId: `show${title}`,
          summary,
          description: 'As written, with its defaults.',
          tags: ['store'],
          response,
        },
      },
      (_request, reply) => {
        const section = context.store.current.sections[name];
        void reply.header('etag', etagOfValue(section));
        return section;
      },
    );
    app.put(
      `/api/v1/${name}`,
      {
        schema: {
          operationId: `replace${title}`,
          summary: `Replace: ${summary[0]?.toLowerCase()}${summary.slice(1)}`,
          description: 'All of it; what is left out gets its default.',
          tags: ['store'],
          headers: WriteHeaders,
          body: schema,
          response,
        },
      },
      async (request, reply) => {
        const files = anchorsOf(context.store.current);
        const snapshot = await changeStore(context, request, {
          etagOf: (store) => etagOfValue(store.sections[name]),
          edit: edit(request.body as never),
        });
        // An uploaded CA file is removed with the last place that names it.
        await uploads.sweepFiles(files, snapshot);
        logChange(context, request, `${name}.changed`, {});
        const section = snapshot.sections[name];
        void reply.header('etag', etagOfValue(section));
        return section;
      },
    );
  }
};
