/** The state of the daemon on one page, and a reload on demand. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { daysLeft, expiresSoon } from '../../certs/store/expiry.ts';
import type { Plain } from '../../core/schema.ts';
import { logChange, rejected } from '../changes.ts';
import type { AdminContext } from '../context.ts';
import { LocalCaSchema, localCaAnswer } from './ca.ts';
import { closed, failures, named, nullable, Time } from '../schemas/common.ts';
import { RejectedSchema, StoreChangeSchema } from '../schemas/store.ts';

const count = (description: string) => Type.Integer({ description });

export const StatusSchema = Type.Object(
  {
    version: Type.String(),
    pid: Type.Integer(),
    started: Time,
    ready: Type.Boolean(),
    home: Type.String(),
    proxy: Type.Array(Type.String({ description: 'Where clients reach the proxy.' })),
    socks: nullable(Type.String({ description: 'Where they reach it by SOCKS5.' })),
    listeners: Type.Array(Type.String({ description: 'Local ports, each of one origin.' })),
    upstream_proxy: Type.Array(Type.String(), { description: 'Proxies on the way out, without credentials.' }),
    password_required: Type.Boolean({ description: 'Whether the proxy requires a password of its clients.' }),
    ca: named(LocalCaSchema),
    store: Type.Object(
      {
        file: Type.String(),
        generation: count('Counts up with every change that took effect.'),
        loaded: Type.String({ format: 'date-time', description: 'When that change took effect.' }),
        certificates: count('All entries.'),
        enabled: count('Of them, in use.'),
        unusable: count('Of the enabled ones, those that fail closed.'),
        expiring: Type.Array(Type.Object({ name: Type.String(), days_left: Type.Integer() }, closed), {
          description: 'Enabled entries whose first `certificate.expiring` is due, the nearest end first.',
        }),
        verification: Type.Enum(['enforce', 'report']),
        rules: count('Rules of verification.'),
        interception: Type.Enum(['all', 'listed']),
        rejected: nullable(named(RejectedSchema)),
      },
      closed,
    ),
    records: Type.Object(
      { exchanges: count('Remembered now.'), connections: count('Remembered now.'), bytes: count('About so many.') },
      closed,
    ),
    clients: count('Client connections open now.'),
  },
  { ...closed, $id: 'Status', description: 'The state of the daemon.' },
);
export type StatusAnswer = Plain<typeof StatusSchema>;

export const statusRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  const started = new Date().toISOString();
  app.get(
    '/api/v1/status',
    {
      schema: {
        operationId: 'status',
        summary: 'The state of the daemon',
        description: 'On one page.',
        tags: ['daemon'],
        response: { 200: named(StatusSchema), ...failures },
      },
    },
    (): StatusAnswer => {
      const { store, recorder, ca } = context;
      const { entries, sections, generation } = store.current;
      const enabled = entries.filter((entry) => entry.enabled);
      const { exchanges, connections, bytes } = recorder.stats;
      const { lastRejection } = store;
      const { socks, listeners } = context.otherAddresses();
      return {
        version: context.version,
        pid: process.pid,
        started,
        ready: context.ready(),
        home: context.home,
        proxy: context.proxyAddresses(),
        socks,
        listeners,
        upstream_proxy: context.upstreamProxies,
        password_required: context.passwordRequired,
        ca: localCaAnswer(ca),
        store: {
          file: store.file,
          generation,
          loaded: store.loadedAt.toISOString(),
          certificates: entries.length,
          enabled: enabled.length,
          unusable: enabled.filter(({ identity }) => identity === null).length,
          expiring: enabled
            .flatMap(({ name, identity, renew }) => {
              if (!identity) return [];
              const { validFromDate, validToDate } = identity.leaf;
              const soon = expiresSoon(validFromDate, validToDate, renew !== null);
              return soon ? [{ name, days_left: daysLeft(validToDate) }] : [];
            })
            .sort((a, b) => a.days_left - b.days_left),
          verification: sections.verification.mode,
          rules: sections.verification.rules.length,
          interception: sections.interception.mode,
          rejected: lastRejection && { at: lastRejection.at.toISOString(), problems: lastRejection.problems },
        },
        records: { exchanges, connections, bytes },
        clients: context.clientConnections(),
      };
    },
  );

  app.post(
    '/api/v1/reload',
    {
      schema: {
        operationId: 'reload',
        summary: 'Reload the store and all files that it names now',
        description:
          'Changes of files are seen without it. 409 where the file has a mistake; the last good store stays.',
        tags: ['daemon'],
        response: { 200: named(StoreChangeSchema), ...failures },
      },
    },
    async (request) => {
      const result = await context.store.reload();
      logChange(context, request, 'reload', { ok: result.ok });
      if (!result.ok) throw rejected(result.problems);
      return { generation: result.snapshot.generation, ...result.change };
    },
  );
};
