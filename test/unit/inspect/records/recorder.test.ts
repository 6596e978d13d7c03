import { describe, expect, test } from 'vitest';
import { createRecorder, type RecordedEvent } from '../../../../src/inspect/records/recorder.ts';
import { connectionRecord, exchangeRecord } from '../../../support/records.ts';

const roomy = { maxRecords: 100, maxBytes: 10_000_000 };
/** Subscribers are called from microtasks. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('memory', () => {
  test('finds records by id', () => {
    const recorder = createRecorder(roomy);
    recorder.addConnection(connectionRecord({ connection: 'c-1' }));
    recorder.addExchange(exchangeRecord({ exchange: 'x-1', connection: 'c-1' }));
    expect(recorder.connection('c-1')?.connection).toBe('c-1');
    expect(recorder.exchange('x-1')?.connection).toBe('c-1');
    expect([recorder.connection('x-1'), recorder.exchange('nope')]).toEqual([null, null]);
  });

  test('is bounded by count, the oldest first', () => {
    const recorder = createRecorder({ ...roomy, maxRecords: 3 });
    for (let index = 0; index < 10; index++) recorder.addExchange(exchangeRecord({ exchange: `x-${index}` }));
    expect(recorder.listExchanges().map(({ exchange }) => exchange)).toEqual(['x-9', 'x-8', 'x-7']);
    expect(recorder.exchange('x-6')).toBeNull();
  });

  test('is bounded by bytes, and gives back what it drops', () => {
    const recorder = createRecorder({ maxRecords: 1000, maxBytes: 50_000 });
    for (let index = 0; index < 500; index++) {
      recorder.addExchange(exchangeRecord({ exchange: `x-${index}`, path: `/${'p'.repeat(1000)}` }));
      recorder.addConnection(connectionRecord({ connection: `c-${index}` }));
    }
    expect(recorder.stats.bytes).toBeLessThanOrEqual(50_000);
    expect(recorder.stats.exchanges).toBeGreaterThan(5);
    expect(recorder.exchange('x-499')).not.toBeNull();
  });

  test('one record larger than all the room is kept rather than none', () => {
    const recorder = createRecorder({ maxRecords: 10, maxBytes: 100 });
    recorder.addExchange(exchangeRecord({ exchange: 'x-1' }));
    recorder.addExchange(exchangeRecord({ exchange: 'x-2' }));
    expect(recorder.listExchanges().map(({ exchange }) => exchange)).toEqual(['x-2']);
  });

  test('keeps a connection as long as exchanges go over it', () => {
    const recorder = createRecorder({ ...roomy, maxRecords: 3 });
    recorder.addConnection(connectionRecord({ connection: 'c-long' }));
    for (let index = 0; index < 10; index++) {
      recorder.addExchange(exchangeRecord({ exchange: `x-${index}`, connection: 'c-long' }));
      recorder.addConnection(connectionRecord({ connection: `c-${index}` }));
    }
    expect(recorder.connection('c-long')).not.toBeNull();
    expect(recorder.connection('c-5')).toBeNull();
    expect(recorder.stats.connections).toBe(3);
  });
});

describe('listExchanges', () => {
  const recorder = createRecorder(roomy);
  const error = { code: 'TLS_FAILED', message: 'm', hint: 'h', alert: null } as const;
  recorder.addExchange(exchangeRecord({ exchange: 'x-1', authority: 'a.example:443', certificate: 'one' }));
  recorder.addExchange(exchangeRecord({ exchange: 'x-2', authority: 'a.example:8443', status: 502, error }));
  recorder.addExchange(exchangeRecord({ exchange: 'x-3', authority: '[::1]:443', status: 503 }));
  recorder.addExchange(
    exchangeRecord({ exchange: 'x-4', authority: 'b.example:443', certificate: 'two', status: 404 }),
  );
  const ids = (query: Parameters<typeof recorder.listExchanges>[0]) =>
    recorder.listExchanges(query).map(({ exchange }) => exchange);

  test.each([
    [{}, ['x-4', 'x-3', 'x-2', 'x-1']],
    [{ host: 'a.example' }, ['x-2', 'x-1']],
    [{ host: 'a.example:443' }, ['x-1']],
    [{ host: '::1' }, ['x-3']],
    [{ failed: true }, ['x-3', 'x-2']],
    [{ failed: false }, ['x-4', 'x-1']],
    [{ certificate: 'one' }, ['x-1']],
    [{ limit: 2 }, ['x-4', 'x-3']],
    [{ limit: 2, before: 'x-3' }, ['x-2', 'x-1']],
    [{ before: 'x-gone' }, []],
    [{ host: 'a.example', failed: true, limit: 1 }, ['x-2']],
  ])('%j', (query, expected) => {
    expect(ids(query)).toEqual(expected);
  });
});

describe('subscribers', () => {
  test('see every record once, in order, after the call that made it', async () => {
    const recorder = createRecorder(roomy);
    const seen: RecordedEvent[] = [];
    recorder.subscribe({ onEvent: (event) => seen.push(event), onLost: () => {}, maxQueued: 10 });
    recorder.addConnection(connectionRecord({ connection: 'c-1' }));
    recorder.addExchange(exchangeRecord({ exchange: 'x-1' }));
    expect(seen).toEqual([]);
    await turn();
    expect(seen.map(({ sequence, record }) => [sequence, record.event])).toEqual([
      [1, 'tls.connected'],
      [2, 'exchange'],
    ]);
  });

  test('that are slow lose events, and get their count at the place of the gap', async () => {
    const recorder = createRecorder(roomy);
    const seen: (number | string)[] = [];
    let ready = false;
    const subscription = recorder.subscribe({
      onEvent: ({ sequence }) => seen.push(sequence),
      onLost: (count) => seen.push(`lost ${count}`),
      maxQueued: 3,
      ready: () => ready,
    });
    for (let index = 0; index < 10; index++) recorder.addExchange(exchangeRecord({ exchange: `x-${index}` }));
    await turn();
    expect(seen).toEqual([]);
    ready = true;
    recorder.addExchange(exchangeRecord({ exchange: 'x-10' }));
    subscription.resume();
    await turn();
    recorder.addExchange(exchangeRecord({ exchange: 'x-11' }));
    await turn();
    expect(seen).toEqual([1, 2, 3, 'lost 8', 12]);
  });

  test('that take a little now and then still see one gap, after all that came before it', async () => {
    const recorder = createRecorder(roomy);
    const seen: (number | string)[] = [];
    let room = 0;
    const subscription = recorder.subscribe({
      onEvent: ({ sequence }) => {
        room--;
        seen.push(sequence);
      },
      onLost: (count) => seen.push(`lost ${count}`),
      maxQueued: 3,
      ready: () => room > 0,
    });
    for (let index = 0; index < 5; index++) recorder.addExchange(exchangeRecord({}));
    room = 1;
    subscription.resume();
    await turn();
    recorder.addExchange(exchangeRecord({})); // there is room for it now, but 4 and 5 are lost
    await turn();
    room = 10;
    subscription.resume();
    await turn();
    recorder.addExchange(exchangeRecord({}));
    await turn();
    expect(seen).toEqual([1, 2, 3, 'lost 3', 7]);
  });

  test('that come back get what they missed, and the count of what is gone', async () => {
    const recorder = createRecorder({ ...roomy, maxRecords: 3 });
    for (let index = 1; index <= 6; index++) recorder.addExchange(exchangeRecord({ exchange: `x-${index}` }));
    const seen: (number | string)[] = [];
    recorder.subscribe({
      onEvent: ({ sequence }) => seen.push(sequence),
      onLost: (count) => seen.push(`lost ${count}`),
      maxQueued: 1,
      after: 1,
    });
    await turn();
    recorder.addExchange(exchangeRecord({ exchange: 'x-7' }));
    await turn();
    expect(seen).toEqual(['lost 2', 4, 5, 6, 7]);
  });

  test('that fail or leave are not called again', async () => {
    const recorder = createRecorder(roomy);
    let calls = 0;
    recorder.subscribe({
      onEvent: () => {
        calls++;
        throw new Error('mine');
      },
      onLost: () => {},
      maxQueued: 10,
    });
    const seen: number[] = [];
    const leaving = recorder.subscribe({
      onEvent: ({ sequence }) => seen.push(sequence),
      onLost: () => {},
      maxQueued: 10,
    });
    recorder.addExchange(exchangeRecord({}));
    recorder.addExchange(exchangeRecord({}));
    await turn();
    leaving.close();
    recorder.addExchange(exchangeRecord({}));
    await turn();
    expect([calls, seen]).toEqual([1, [1, 2]]);
  });
});
