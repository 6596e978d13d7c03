/**
 * Memory of the recent connections and exchanges, bounded by count and by bytes, and a feed of what is added. One record
 * costs a few operations and no search, since every request pays for it.
 */
import type { ConnectionRecord, ExchangeRecord } from './records.ts';

export interface RecorderOptions {
  /** Exchanges kept, and as many connections. */
  readonly maxRecords: number;
  /** About so many bytes in all. */
  readonly maxBytes: number;
}

export interface RecordedEvent {
  /** Counts from 1 without a gap, for Last-Event-ID. */
  readonly sequence: number;
  readonly record: ConnectionRecord | ExchangeRecord;
}

export interface ExchangeQuery {
  /** The authority's host, with or without its port. */
  readonly host?: string | undefined;
  /** Only those with an error or a status of 500 and above; false: only the others. */
  readonly failed?: boolean | undefined;
  /** Name of the entry. */
  readonly certificate?: string | undefined;
  /** Default 100. */
  readonly limit?: number | undefined;
  /** Only those older than this exchange; an id no longer kept gives none. */
  readonly before?: string | undefined;
}

export interface Subscriber {
  /** Called from a microtask of its own, never inside the request that made the record. */
  readonly onEvent: (event: RecordedEvent) => void;
  /** So many events were lost since the last one, because the subscriber was not ready for them. */
  readonly onLost: (count: number) => void;
  /** Events that wait while `ready` says no. */
  readonly maxQueued: number;
  /** False while the subscriber can't take more, as with a full socket; then call `resume`. Default: always ready. */
  readonly ready?: () => boolean;
  /** Begin after this sequence number, with what is still kept; what is not counts as lost. */
  readonly after?: number;
}

export interface Subscription {
  /** Goes on with what is queued. */
  resume(): void;
  close(): void;
}

export interface Recorder {
  addConnection(record: ConnectionRecord): void;
  addExchange(record: ExchangeRecord): void;
  connection(id: string): ConnectionRecord | null;
  exchange(id: string): ExchangeRecord | null;
  /** Newest first. */
  listExchanges(query?: ExchangeQuery): ExchangeRecord[];
  /** Newest first. */
  listConnections(limit?: number): ConnectionRecord[];
  subscribe(subscriber: Subscriber): Subscription;
  readonly stats: {
    readonly exchanges: number;
    readonly connections: number;
    readonly bytes: number;
    readonly sequence: number;
  };
}

interface Kept<T> {
  readonly sequence: number;
  readonly bytes: number;
  readonly record: T;
}

const DEFAULT_LIMIT = 100;

export function createRecorder(options: RecorderOptions): Recorder {
  const { maxRecords, maxBytes } = options;
  // Maps keep insertion order: the first key is the oldest, and both lookup and removal are O(1).
  const connections = new Map<string, Kept<ConnectionRecord>>();
  const exchanges = new Map<string, Kept<ExchangeRecord>>();
  const feeds = new Set<Feed>();
  let bytes = 0;
  let sequence = 0;

  function keep<T>(into: Map<string, Kept<T>>, id: string, record: T, size: number): void {
    const before = into.get(id);
    if (before) bytes -= before.bytes;
    into.delete(id);
    into.set(id, { sequence: ++sequence, bytes: size, record });
    bytes += size;
    if (into.size > maxRecords) dropOldest(into);
    // The older of the two oldest goes: a connection outlives the exchanges on it only while it is in use.
    while (bytes > maxBytes && connections.size + exchanges.size > 1) {
      const [connection] = connections.values();
      const [exchange] = exchanges.values();
      if (connection && (!exchange || connection.sequence < exchange.sequence)) dropOldest(connections);
      else dropOldest(exchanges);
    }
  }

  function dropOldest<T>(from: Map<string, Kept<T>>): void {
    for (const [id, kept] of from) {
      bytes -= kept.bytes;
      from.delete(id);
      return;
    }
  }

  /** A connection in use moves to the young end, so that it stays while exchanges that refer to it are kept. */
  function touch(id: string | null): void {
    const kept = id === null ? undefined : connections.get(id);
    if (!kept || id === null) return;
    connections.delete(id);
    connections.set(id, kept);
  }

  function publish(record: ConnectionRecord | ExchangeRecord): void {
    if (feeds.size === 0) return;
    const event = { sequence, record };
    for (const feed of feeds) feed.push(event);
  }

  return {
    addConnection(record) {
      keep(connections, record.connection, record, connectionBytes(record));
      publish(record);
    },
    addExchange(record) {
      touch(record.connection);
      keep(exchanges, record.exchange, record, exchangeBytes(record));
      publish(record);
    },
    connection: (id) => connections.get(id)?.record ?? null,
    exchange: (id) => exchanges.get(id)?.record ?? null,
    listExchanges(query = {}) {
      const cursor = query.before === undefined ? Number.POSITIVE_INFINITY : exchanges.get(query.before)?.sequence;
      if (cursor === undefined) return [];
      const found: ExchangeRecord[] = [];
      for (const { sequence, record } of [...exchanges.values()].reverse()) {
        if (found.length >= (query.limit ?? DEFAULT_LIMIT)) break;
        if (sequence < cursor && matches(record, query)) found.push(record);
      }
      return found;
    },
    listConnections: (limit = DEFAULT_LIMIT) =>
      [...connections.values()]
        .sort((a, b) => b.sequence - a.sequence)
        .slice(0, limit)
        .map(({ record }) => record),
    subscribe(subscriber) {
      const feed = new Feed(subscriber, () => feeds.delete(feed));
      const { after } = subscriber;
      if (after !== undefined && after <= sequence) {
        const kept = [...connections.values(), ...exchanges.values()].filter((each) => each.sequence > after);
        kept.sort((a, b) => a.sequence - b.sequence);
        feed.replay(
          kept.map(({ sequence, record }) => ({ sequence, record })),
          sequence - after - kept.length,
        );
      }
      feeds.add(feed);
      return feed;
    },
    get stats() {
      return { exchanges: exchanges.size, connections: connections.size, bytes, sequence };
    },
  };
}

function matches(record: ExchangeRecord, { host, failed, certificate }: ExchangeQuery): boolean {
  if (host !== undefined && record.authority !== host && hostOf(record.authority) !== host) return false;
  if (failed !== undefined && failed !== (record.error !== null || (record.status ?? 0) >= 500)) return false;
  return certificate === undefined || record.certificate === certificate;
}

/** `[::1]:443` and `api.example:443` without the port, and without brackets. */
function hostOf(authority: string): string {
  return authority.slice(0, authority.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

/**
 * Sizes are estimates from the parts that vary; the constants are what the rest of such a record takes in V8's heap,
 * measured with 10,000 of them. Certificate facts are shared between records and count for a fraction.
 */
function exchangeBytes({ path, authority, client, error }: ExchangeRecord): number {
  return (
    700 + 2 * (path.length + authority.length + client.length + (error ? error.message.length + error.hint.length : 0))
  );
}

function connectionBytes({ server, verification, error }: ConnectionRecord): number {
  let size = 1500 + (error ? 2 * (error.message.length + error.hint.length) : 0);
  for (const { sans, subject } of server.chain) size += 600 + 2 * subject.length + sans.length * 40;
  for (const { message, hint } of verification.problems) size += 200 + 2 * (message.length + hint.length);
  return size;
}

/** One subscriber's queue: what it can't take in time is dropped, counted, and told to it before the next event. */
class Feed implements Subscription {
  readonly #subscriber: Subscriber;
  readonly #onClose: () => void;
  #queue: RecordedEvent[] = [];
  #lost = 0;
  #lostBefore = 0;
  #scheduled = false;
  #closed = false;

  constructor(subscriber: Subscriber, onClose: () => void) {
    this.#subscriber = subscriber;
    this.#onClose = onClose;
  }

  push(event: RecordedEvent): void {
    // Once one is lost, so are all until the queue is empty: one gap, told where it lies, and never an event out of order.
    if (this.#lost > 0 || this.#queue.length >= this.#subscriber.maxQueued) this.#lost++;
    else this.#queue.push(event);
    this.resume();
  }

  /** What was missed: first the count of what is no longer kept, then the rest, however long it is. */
  replay(events: readonly RecordedEvent[], lost: number): void {
    this.#lostBefore = lost;
    this.#queue.push(...events);
    this.resume();
  }

  resume(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#drain();
    });
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#onClose();
  }

  #drain(): void {
    const { onEvent, onLost, ready = () => true } = this.#subscriber;
    try {
      while (!this.#closed && ready()) {
        const lostBefore = this.#lostBefore;
        this.#lostBefore = 0;
        if (lostBefore > 0) onLost(lostBefore);
        const event = this.#queue.shift();
        if (event) onEvent(event);
        else if (this.#lost > 0) [this.#lostBefore, this.#lost] = [this.#lost, 0];
        else return;
      }
    } catch {
      this.close(); // a subscriber that fails must not take the daemon down, nor be called again
    }
  }
}
