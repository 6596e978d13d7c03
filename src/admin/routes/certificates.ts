import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { StoreEntry, StoreSnapshot } from '../../certs/store/snapshot.ts';
import type { AdminContext } from '../context.ts';

/** The entries of the store, with what is known of each; never a key or a passphrase. */
export const certificateRoutes: FastifyPluginAsyncTypebox<AdminContext> = async (app, context) => {
  app.get('/api/v1/certificates', { schema: { description: 'All entries, in the order of the file.' } }, () => {
    const store = context.store();
    return { certificates: store.entries.map((entry) => describeEntry(entry, store)) };
  });
};

const DAY_MS = 86_400_000;

function describeEntry(entry: StoreEntry, store: StoreSnapshot): object {
  const facts = entry.identity?.facts ?? [];
  const [leaf] = facts;
  return {
    name: entry.name,
    host: entry.host,
    port: entry.port,
    enabled: entry.enabled,
    profile: entry.profile,
    withhold_unverified: entry.withholdUnverified,
    facts,
    problems: entry.problems,
    days_left: leaf ? Math.floor((Date.parse(leaf.not_after) - Date.now()) / DAY_MS) : null,
    shadowed_by: store.shadowedBy(entry)?.name ?? null,
  };
}
