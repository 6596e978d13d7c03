/** Parsed entry + loaded identity -> the entry in force. */
import { dateProblems } from '../identity/chain.ts';
import type { LoadedIdentity } from '../identity/load.ts';
import type { ParsedEntry } from './parsed.ts';
import type { StoreEntry } from './snapshot.ts';

export function storeEntry(parsed: ParsedEntry, loaded: LoadedIdentity, index: number): StoreEntry {
  const { identity, file } = loaded;
  const { name, host, port, enabled, profile, withholdUnverified, crossSite, line, signature, cert, key, pfx, alias } =
    parsed;
  const passphrase = parsed.passphrase && 'text' in parsed.passphrase ? 'text' : parsed.passphrase;
  return {
    name,
    host,
    port,
    enabled,
    profile,
    withholdUnverified,
    crossSite,
    identity,
    // What depends on the date is told as of now, however long ago the entry was loaded.
    get problems() {
      const dated = identity ? dateProblems(identity.leaf, file) : [];
      return dated.length === 0 ? loaded.problems : [...loaded.problems, ...dated];
    },
    index,
    line,
    source: { cert, key, pfx, alias, passphrase },
    etag: signature,
  };
}
