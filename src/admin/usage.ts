/** When each certificate was last sent to a server, from the records as they come. */
import type { ConnectionRecord, ExchangeRecord } from '../inspect/records/types.ts';

export interface Usage {
  connection(record: ConnectionRecord): void;
  exchange(record: ExchangeRecord): void;
  /** RFC 3339; null where it was not sent since the daemon started. */
  lastUsed(name: string): string | null;
  /** Forgets removed entries: a new entry of the same name is another certificate. */
  retain(names: readonly { readonly name: string }[]): void;
}

/** @param connectionOf shows whether the certificate chosen for an exchange was sent on its connection */
export function createUsage(connectionOf: (id: string) => ConnectionRecord | null): Usage {
  const last = new Map<string, string>();
  return {
    connection({ client_certificate: { name, sent }, started }) {
      if (sent && name !== null) last.set(name, started);
    },
    exchange({ certificate, connection, started }) {
      if (certificate === null || connection === null) return;
      const { sent, name } = connectionOf(connection)?.client_certificate ?? { sent: false, name: null };
      if (sent && name === certificate) last.set(certificate, started);
    },
    lastUsed: (name) => last.get(name) ?? null,
    retain(entries) {
      const names = new Set(entries.map(({ name }) => name));
      for (const name of last.keys()) if (!names.has(name)) last.delete(name);
    },
  };
}
