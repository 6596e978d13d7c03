/** The entries of the store: list, add, replace, edit, remove. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { freeName, nameFor, placeOf } from '../../certs/store/compile.ts';
import { type CertificateChanges, editError } from '../../certs/store/edit-value.ts';
import type { CertificateFields } from '../../certs/store/schema.ts';
import type { StoreEntry, StoreSnapshot } from '../../certs/store/snapshot.ts';
import { CodedError } from '../../core/errors.ts';
import { changeStore, logChange, quoted } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { describeEntry } from '../entries.ts';
import {
  type InputFields,
  keepContent,
  refuseContradiction,
  refuseUnusable,
  sourceOf,
  withoutOpposite,
} from '../identity-input.ts';
import { AdminError } from '../problem.ts';
import { EntryBody, EntryPatch, EntrySchema } from '../schemas/certificate.ts';
import { Removed } from '../removed.ts';
import { closed, failures, flag, named, nullable, text, WriteHeaders } from '../schemas/common.ts';
import { Uploads } from '../uploads.ts';

const tags = ['certificates'];
export const NameParams = Type.Object({
  name: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$',
    description: 'The name of the entry.',
    errorMessage: 'the name of an entry',
  }),
});
const WriteQuery = Type.Object(
  { check: flag('false writes the entry although its files would not load (yet).', true) },
  closed,
);
const ListQuery = Type.Object(
  {
    host: Type.Optional(text('Only entries with this host, as written in the store.', 'a host', { maxLength: 260 })),
    profile: Type.Optional(Type.String({ maxLength: 100, errorMessage: 'the name of a profile' })),
    usable: flag('Only those that can, or can not, be used.'),
    after: Type.Optional(text('Those that follow this entry.', 'the name of an entry', { maxLength: 100 })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, default: 1000, errorMessage: 'a number from 1 to 10000' }),
    ),
  },
  closed,
);
export const EntryListSchema = Type.Object(
  {
    certificates: Type.Array(named(EntrySchema), { description: 'In the order of the file.' }),
    next: nullable(Type.String({ description: 'Pass it as `after` for more; null where there are none.' })),
    total: Type.Integer({ description: 'All that fit, on every page.' }),
  },
  { ...closed, $id: 'EntryList' },
);

export const certificateRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const { store } = context;
  const uploads = new Uploads(context.home);
  const removedEntries = new Removed(store, uploads);

  const answer = (name: string, snapshot: StoreSnapshot) => {
    const entry = findEntry(snapshot, name);
    return { entry, body: describeEntry(entry, snapshot, context), etag: quoted(entry.etag) };
  };

  app.get(
    '/api/v1/certificates',
    {
      schema: {
        operationId: 'listCertificates',
        summary: 'All entries',
        description: 'Every entry with its facts, problems, days left, what shadows it and when it was last used.',
        tags,
        querystring: ListQuery,
        response: { 200: named(EntryListSchema), ...failures },
      },
    },
    ({ query }) => {
      const snapshot = store.current;
      const { limit = 1000 } = query;
      const host = query.host === undefined ? null : placeOf({ host: query.host }).host;
      const fitting = snapshot.entries.filter(
        (entry) =>
          (host === null || entry.host === host) &&
          (query.profile === undefined || entry.profile === query.profile) &&
          (query.usable === undefined || (entry.identity !== null) === query.usable),
      );
      const start = query.after === undefined ? 0 : fitting.findIndex(({ name }) => name === query.after) + 1;
      const page = query.after !== undefined && start === 0 ? [] : fitting.slice(start, start + limit);
      const next = start + limit < fitting.length ? (page.at(-1)?.name ?? null) : null;
      const certificates = page.map((entry) => describeEntry(entry, snapshot, context));
      return { certificates, next, total: fitting.length };
    },
  );

  app.post(
    '/api/v1/certificates',
    {
      schema: {
        operationId: 'addCertificate',
        summary: 'Add an entry',
        description:
          'By path, or with the content of its files. 409 where the name is taken, 422 where it would not load.',
        tags,
        querystring: WriteQuery,
        body: EntryBody,
        response: { 201: named(EntrySchema), ...failures },
      },
    },
    async (request, reply) => {
      const { body } = request;
      refuseContradiction(body, true);
      refuseTaken(body.name, store.current);
      await check(request.query, body, null, body.enabled !== false);
      const kept = await keepContent(body, uploads);
      const { name, snapshot } = await orDiscard(kept.files, () =>
        add(request, body, kept.fields as CertificateFields),
      );
      logChange(context, request, 'certificate.added', { name, host: body.host, port: body.port ?? 443 });
      const { body: entry, etag } = answer(name, snapshot);
      void reply.code(201).headers({ location: `/api/v1/certificates/${name}`, etag });
      return entry;
    },
  );

  app.get(
    '/api/v1/certificates/:name',
    {
      schema: {
        operationId: 'showCertificate',
        summary: 'One entry',
        description: 'Its ETag stands for its settings, not for what its files hold.',
        tags,
        params: NameParams,
        response: { 200: named(EntrySchema), ...failures },
      },
    },
    ({ params }, reply) => {
      const { body, etag } = answer(params.name, store.current);
      void reply.header('etag', etag);
      return body;
    },
  );

  app.put(
    '/api/v1/certificates/:name',
    {
      schema: {
        operationId: 'replaceCertificate',
        summary: 'Replace an entry',
        description:
          'All of it; what is left out gets its default. Files that were uploaded for it before are removed.',
        tags,
        params: NameParams,
        headers: WriteHeaders,
        querystring: WriteQuery,
        body: EntryBody,
        response: { 200: named(EntrySchema), ...failures },
      },
    },
    async (request, reply) => {
      const { body, params } = request;
      refuseContradiction(body, true);
      const before = findEntry(store.current, params.name);
      const name = body.name ?? params.name;
      await check(request.query, body, null, body.enabled !== false);
      const kept = await keepContent(body, uploads);
      const certificate = { ...kept.fields, name } as CertificateFields;
      const snapshot = await orDiscard(kept.files, () =>
        changeStore(context, request, {
          etagOf: (now) => etagOf(now, params.name),
          edit: { do: 'replace-certificate', name: params.name, certificate },
        }),
      );
      await uploads.sweep(before.source, snapshot);
      logChange(context, request, 'certificate.replaced', {
        name,
        ...(name !== params.name && { before: params.name }),
      });
      const { body: entry, etag } = answer(name, snapshot);
      void reply.header('etag', etag);
      return entry;
    },
  );

  app.patch(
    '/api/v1/certificates/:name',
    {
      schema: {
        operationId: 'editCertificate',
        summary: 'Edit an entry',
        description: 'The fields given; null takes one out, and what is left out stays.',
        tags,
        params: NameParams,
        headers: WriteHeaders,
        querystring: WriteQuery,
        body: EntryPatch,
        response: { 200: named(EntrySchema), ...failures },
      },
    },
    async (request, reply) => {
      const { body, params } = request;
      refuseContradiction(body, false);
      const before = findEntry(store.current, params.name);
      // A change of name or state does not depend on what the files hold.
      if (FILE_FIELDS.some((field) => field in body))
        await check(request.query, body, before, body.enabled ?? before.enabled);
      const kept = await keepContent(withoutOpposite(body, before.source), uploads);
      const set = kept.fields as CertificateChanges;
      const snapshot = await orDiscard(kept.files, () =>
        changeStore(context, request, {
          etagOf: (now) => etagOf(now, params.name),
          edit: { do: 'edit-certificate', name: params.name, set },
        }),
      );
      await uploads.sweep(before.source, snapshot);
      const name = body.name ?? params.name;
      logChange(context, request, 'certificate.changed', { name, fields: Object.keys(body) });
      const { body: entry, etag } = answer(name, snapshot);
      void reply.header('etag', etag);
      return entry;
    },
  );

  app.delete(
    '/api/v1/certificates/:name',
    {
      schema: {
        operationId: 'removeCertificate',
        summary: 'Remove an entry',
        description:
          'And the files that were uploaded for it, unless another entry names them; files named by path stay. `restoreCertificate` undoes it for ten minutes.',
        tags,
        params: NameParams,
        headers: WriteHeaders,
        response: { 204: Type.Null({ description: 'Removed.' }), ...failures },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const before = findEntry(store.current, name);
      const text = await removedEntries.textBefore();
      const { generation } = store.current;
      const kept = text === null ? [] : await uploads.contentOf(before.source).catch(() => []);
      const snapshot = await changeStore(context, request, {
        etagOf: (now) => etagOf(now, name),
        edit: { do: 'remove-certificate', name },
        exact: text !== null,
      });
      const files = await uploads.sweep(before.source, snapshot);
      // With another generation in between, the text holds another change too.
      if (text !== null && snapshot.generation === generation + 1)
        removedEntries.keep(name, { before: text, left: snapshot.version, files: kept });
      logChange(context, request, 'certificate.removed', { name, files_removed: files.length });
      void reply.code(204);
      return null;
    },
  );

  app.post(
    '/api/v1/certificates/:name/restore',
    {
      schema: {
        operationId: 'restoreCertificate',
        summary: 'Undo a removal',
        description:
          'Puts the entry back in its place, with its comments and its uploaded files. 404 after ten minutes, 409 where certificates.yaml was changed since.',
        tags,
        params: NameParams,
        response: { 200: named(EntrySchema), ...failures },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      await removedEntries.restore(name);
      logChange(context, request, 'certificate.restored', { name });
      const { body, etag } = answer(name, store.current);
      void reply.header('etag', etag);
      return body;
    },
  );

  /** If another client takes the name that we chose, another name is as good. */
  async function add(request: FastifyRequest, body: EntryBody, fields: CertificateFields) {
    for (let tries = 1; ; tries++) {
      const taken = new Set(store.current.entries.map((entry) => entry.name));
      const name = body.name ?? freeName(nameFor(placeOf(body)), taken);
      const edit = { do: 'add-certificate', certificate: { ...fields, name } } as const;
      try {
        return { name, snapshot: await changeStore(context, request, { etagOf: () => null, edit }) };
      } catch (error) {
        const taken = error instanceof CodedError && error.code === 'NAME_TAKEN';
        if (!taken || body.name !== undefined || tries === 5) throw error;
        await store.reload();
      }
    }
  }

  async function check(
    query: { check?: boolean },
    fields: InputFields,
    before: StoreEntry | null,
    enabled: boolean,
  ): Promise<void> {
    if (query.check === false || !enabled) return;
    const source = sourceOf(fields, before?.source ?? null, context.home);
    if (source) await refuseUnusable(source);
  }

  async function orDiscard<T>(files: readonly string[], work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await uploads.discard(files);
      throw error;
    }
  }
};

const FILE_FIELDS = ['cert', 'cert_pem', 'key', 'key_pem', 'pfx', 'pfx_base64', 'alias', 'passphrase'] as const;

export function findEntry({ entries }: StoreSnapshot, name: string): StoreEntry {
  const entry = entries.find((entry) => entry.name === name);
  if (entry) return entry;
  throw new AdminError('NOT_FOUND', `no certificate is named ${name}`, 'mtlsd cert list shows the names');
}

function etagOf({ entries }: StoreSnapshot, name: string): string | null {
  const entry = entries.find((entry) => entry.name === name);
  return entry ? quoted(entry.etag) : null;
}

/** Before anything is read or stored; the edit checks again, in the current file. */
function refuseTaken(name: string | undefined, { entries }: StoreSnapshot): void {
  const taken = name === undefined ? undefined : entries.find((entry) => entry.name === name);
  if (taken)
    throw editError(
      'NAME_TAKEN',
      `the name ${taken.name} is taken by the entry on line ${taken.line}`,
      'choose another name, or change that entry',
    );
}
