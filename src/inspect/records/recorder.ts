/**
 * Memory of the recent connections and exchanges, bounded by count and by bytes, and a feed of what is added. One record
 * costs a few operations and no search, since every request pays for it.
 */
import type { RecordedFields } from './fields.ts';
import { type ExchangeFilter, fits, hasFailed } from './filter.ts';
import type { ConnectionRecord, ExchangeRecord } from './types.ts';
import { Ring } from './ring.ts';
import { type StoredText, TextStore } from './text-store.ts';

export interface RecorderOptions {
  /** Exchanges kept, and as many connections. */
  readonly maxRecords: number;
  /** About so many bytes in all. */
  readonly maxBytes: number;
  /** For errors of a subscriber, which then gets no more events. */
  readonly onFault?: (error: unknown) => void;
}

export interface RecordedEvent {
  /** Counts from 1 without a gap, for Last-Event-ID. */
  readonly sequence: number;
  readonly record: ConnectionRecord | ExchangeRecord;
}

export interface ExchangeQuery extends ExchangeFilter {
  /** Default 100. */
  readonly limit?: number | undefined;
  /** Only those older than this exchange; an id no longer kept gives none. */
  readonly before?: string | undefined;
}

export interface RecordedExchange {
  readonly exchange: ExchangeRecord;
  /** null where they were not kept. */
  readonly fields: RecordedFields | null;
}

export interface Subscriber {
  /** Called from a separate microtask, never inside the request that made the record. */
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
  /** Continues with the queued events. */
  resume(): void;
  close(): void;
}

export interface Recorder {
  addConnection(record: ConnectionRecord): void;
  /**
   * @param json the record as JSON, where the caller has it already
   * @param fields its header fields, which no subscriber gets
   */
  addExchange(record: ExchangeRecord, json?: string, fields?: RecordedFields): void;
  connection(id: string): ConnectionRecord | null;
  exchange(id: string): ExchangeRecord | null;
  /** With its header fields. */
  recorded(id: string): RecordedExchange | null;
  /** Newest first. */
  listExchanges(query?: ExchangeQuery): ExchangeRecord[];
  /** The same with their header fields. */
  listRecorded(query?: ExchangeQuery): RecordedExchange[];
  subscribe(subscriber: Subscriber): Subscription;
  readonly stats: {
    readonly exchanges: number;
    readonly connections: number;
    readonly bytes: number;
    readonly sequence: number;
  };
}

interface KeptConnection {
  readonly record: ConnectionRecord;
  readonly bytes: number;
  readonly sequence: number;
  /** The sequence number of its last exchange, or its own. */
  used: number;
  /** `used` when it took its place in the line of those to be dropped. */
  readonly since: number;
}

interface KeptExchange {
  readonly id: string;
  readonly sequence: number;
  // The fields that lists are filtered by, so that only listed records are parsed.
  readonly authority: string;
  readonly certificate: string | null;
  readonly failed: boolean;
  readonly json: StoredText;
  readonly fields: StoredText | null;
}

const DEFAULT_LIMIT = 100;

export function createRecorder(options: RecorderOptions): Recorder {
  const { maxRecords, maxBytes, onFault = () => {} } = options;
  // A Map keeps the order of insertion: the first is the next to be dropped.
  const connections = new Map<string, KeptConnection>();
  const exchanges = new Ring<KeptExchange>(maxRecords);
  const texts = new TextStore();
  const feeds = new Set<Feed>();
  let bytes = 0;
  let sequence = 0;

  function makeRoom(): void {
    if (connections.size > maxRecords) dropConnection();
    // The older of the two oldest is dropped: a connection outlives its exchanges only while it is in use.
    while (bytes > maxBytes && connections.size + exchanges.size > 1) {
      const exchange = exchanges.oldest;
      const [connection] = connections.values();
      if (connection && (!exchange || connection.used < exchange.sequence)) dropConnection();
      else forget(exchanges.shift());
    }
  }

  /** Nearly the least recently used: one that was used since it got its place moves to the end, once. */
  function dropConnection(): void {
    for (const [id, kept] of connections) {
      connections.delete(id);
      if (kept.used === kept.since) {
        bytes -= kept.bytes;
        return;
      }
      connections.set(id, { ...kept, since: kept.used });
    }
  }

  function forget(exchange: KeptExchange | undefined): void {
    if (exchange) bytes -= exchangeBytes(exchange);
  }

  function find(id: string): KeptExchange | null {
    for (const kept of exchanges.newestFirst()) if (kept.id === id) return kept;
    return null;
  }

  function select({ before, limit = DEFAULT_LIMIT, ...query }: ExchangeQuery): KeptExchange[] {
    const found: KeptExchange[] = [];
    let reached = before === undefined;
    for (const kept of exchanges.newestFirst()) {
      if (found.length >= limit) break;
      if (reached && fits(kept, kept.failed, query)) found.push(kept);
      reached ||= kept.id === before;
    }
    return found;
  }

  function publish(record: ConnectionRecord | ExchangeRecord): void {
    if (feeds.size === 0) return;
    const event = { sequence, record };
    for (const feed of feeds) feed.push(event);
  }

  return {
    addConnection(record) {
      sequence += 1;
      const size = connectionBytes(record);
      bytes += size;
      connections.set(record.connection, { record, bytes: size, sequence, used: sequence, since: sequence });
      makeRoom();
      publish(record);
    },
    addExchange(record, json = JSON.stringify(record), fields) {
      sequence += 1;
      const { exchange: id, authority, certificate, connection } = record;
      const over = connection === null ? undefined : connections.get(connection);
      if (over) over.used = sequence;
      const kept = {
        id,
        sequence,
        authority,
        certificate,
        failed: hasFailed(record),
        json: texts.add(json),
        fields: fields ? texts.add(JSON.stringify(fields)) : null,
      };
      bytes += exchangeBytes(kept);
      forget(exchanges.push(kept));
      makeRoom();
      publish(record);
    },
    connection: (id) => connections.get(id)?.record ?? null,
    exchange(id) {
      const kept = find(id);
      return kept && recordOf(kept);
    },
    recorded(id) {
      const kept = find(id);
      return kept && recordedOf(kept);
    },
    listExchanges: (query = {}) => select(query).map(recordOf),
    listRecorded: (query = {}) => select(query).map(recordedOf),
    subscribe(subscriber) {
      const feed = new Feed(subscriber, () => feeds.delete(feed), onFault);
      const { after } = subscriber;
      if (after !== undefined && after <= sequence) {
        const kept = [
          ...[...connections.values()].map(({ sequence, record }) => ({ sequence, record })),
          ...[...exchanges.newestFirst()].map((each) => ({
            sequence: each.sequence,
            get record() {
              return recordOf(each);
            },
          })),
        ].filter((each) => each.sequence > after);
        kept.sort((a, b) => a.sequence - b.sequence);
        feed.replay(kept, sequence - after - kept.length);
      }
      feeds.add(feed);
      return feed;
    },
    get stats() {
      return { exchanges: exchanges.size, connections: connections.size, bytes, sequence };
    },
  };
}

const recordOf = ({ json }: KeptExchange): ExchangeRecord => JSON.parse(json.toString()) as ExchangeRecord;

const recordedOf = (kept: KeptExchange): RecordedExchange => ({
  exchange: recordOf(kept),
  fields: kept.fields && (JSON.parse(kept.fields.toString()) as RecordedFields),
});

/** The texts, and their objects in V8's heap. */
const exchangeBytes = ({ json, fields }: KeptExchange): number =>
  250 + json.byteLength + (fields ? 50 + fields.byteLength : 0);

/**
 * An estimate from the parts that vary; the constants are what the rest of such a record takes in V8's heap, measured with
 * 10,000 of them. Certificate facts are shared between records and count for a fraction.
 */
function connectionBytes({ server, verification, error }: ConnectionRecord): number {
  let size = 1500 + (error ? 2 * (error.message.length + error.hint.length) : 0);
  for (const { sans, subject } of server.chain) size += 600 + 2 * subject.length + sans.length * 40;
  for (const { message, hint } of verification.problems) size += 200 + 2 * (message.length + hint.length);
  return size;
}

/** One subscriber's queue: events that it can't take in time are dropped and counted, and the count comes before the next event. */
class Feed implements Subscription {
  readonly #subscriber: Subscriber;
  readonly #onClose: () => void;
  readonly #onFault: (error: unknown) => void;
  #queue: RecordedEvent[] = [];
  #lost = 0;
  #lostBefore = 0;
  #scheduled = false;
  #closed = false;

  constructor(subscriber: Subscriber, onClose: () => void, onFault: (error: unknown) => void) {
    this.#subscriber = subscriber;
    this.#onClose = onClose;
    this.#onFault = onFault;
  }

  push(event: RecordedEvent): void {
    // After one lost event all are lost until the queue is empty: one gap, reported at its place, and no event out of order.
    if (this.#lost > 0 || this.#queue.length >= this.#subscriber.maxQueued) this.#lost++;
    else this.#queue.push(event);
    this.resume();
  }

  /** What was missed: first the count of what is no longer kept, then the rest, of any length. */
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
    } catch (error) {
      this.close(); // a subscriber that fails must not be called again
      this.#onFault(error);
    }
  }
}
