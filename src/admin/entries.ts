/** The answer about an entry: its settings, the content of its files, and its state. Never a key or a passphrase. */
import { daysLeft } from '../certs/store/expiry.ts';
import type { EntrySource, StoreEntry, StoreSnapshot } from '../certs/store/snapshot.ts';
import type { EntryAnswer } from './schemas/certificate.ts';
import type { AdminContext } from './context.ts';

export function describeEntry(
  entry: StoreEntry,
  store: StoreSnapshot,
  { usage, renewals }: Pick<AdminContext, 'usage' | 'renewals'>,
): EntryAnswer {
  const { cert, key, pfx, alias, renew } = entry.source;
  return {
    name: entry.name,
    host: entry.host,
    port: entry.port,
    cert,
    key,
    pfx,
    alias,
    passphrase: describePassphrase(entry.source.passphrase),
    enabled: entry.enabled,
    profile: entry.profile,
    withhold_unverified: entry.withholdUnverified,
    cross_site: entry.crossSite,
    renew,
    line: entry.line,
    usable: entry.identity !== null,
    facts: entry.identity?.facts ?? [],
    problems: entry.problems,
    days_left: entry.identity ? daysLeft(entry.identity.leaf.validToDate) : null,
    shadowed_by: store.shadowedBy(entry)?.name ?? null,
    last_used: usage.lastUsed(entry.name),
    renewal: renewals.statusOf(entry.name),
  };
}

function describePassphrase(source: EntrySource['passphrase']): EntryAnswer['passphrase'] {
  if (source === null) return null;
  return source === 'text' ? { text: true } : source;
}
