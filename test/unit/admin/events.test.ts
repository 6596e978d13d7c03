import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EventParser } from '../../../src/core/event-stream.ts';
import { createAdminApp, type AdminApp } from '../../../src/admin/server.ts';
import type { AdminContext } from '../../../src/admin/context.ts';
import { Secret } from '../../../src/core/secret.ts';
import { createRecorder, type Recorder } from '../../../src/inspect/records/recorder.ts';
import { exchangeRecord } from '../../support/records.ts';
import { openEvents } from '../../support/event-stream.ts';

describe('the stream of events', () => {
  let recorder: Recorder;
  let app: AdminApp;
  let api: (path: string, init?: RequestInit) => Promise<Response>;

  const context = () =>
    ({
      version: '0.0.0',
      token: new Secret('token'),
      recorder,
      store: { current: {}, lastRejection: null },
      flush: () => {},
      report: () => {},
      heartbeatMs: 1,
    }) as unknown as AdminContext;

  beforeAll(async () => {
    recorder = createRecorder({ maxRecords: 5000, maxBytes: 50_000_000 });
    app = await createAdminApp(context());
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    api = (path, init) =>
      fetch(`${url}${path}`, { ...init, headers: { ...(init?.headers as object), authorization: 'Bearer token' } });
  });
  afterAll(() => app.close());

  test('has a comment now and then, so that both sides see a connection that died', async () => {
    const events = await openEvents({ api });
    while (events.comments() < 3) {
      recorder.addExchange(exchangeRecord({}));
      await events.next();
    }
    expect(events.status).toBe(200);
    events.close();
  });

  test('a reader that does not read loses events, gets their count, and delays no other', async () => {
    const slow = await api('/api/v1/events');
    const path = `/${'x'.repeat(100_000)}`;
    // More than any socket buffer holds, and more events than are queued for one subscriber.
    for (let i = 0; i < 3000; i++) {
      recorder.addExchange(exchangeRecord({ path: i < 200 ? path : `/${i}` }));
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    const parser = new EventParser();
    const decoder = new TextDecoder();
    let seen = 0;
    let lost = 0;
    for await (const piece of slow.body ?? []) {
      for (const { event, data } of parser.push(decoder.decode(piece as Uint8Array, { stream: true }))) {
        if (event === 'exchange') seen++;
        else lost += (JSON.parse(data) as { count: number }).count;
      }
      if (seen + lost === 3000) break;
    }
    expect(lost).toBeGreaterThan(0);
    expect(seen).toBeGreaterThan(0);
  });

  test('a reader that takes nothing for long is let go, and its place is free again', async () => {
    const impatient = await createAdminApp({ ...context(), stallMs: 50 });
    const { port } = new URL(await impatient.listen({ host: '127.0.0.1', port: 0 }));
    const stuck = Array.from({ length: 64 }, () => connect(Number(port), '127.0.0.1'));
    const closed = stuck.map((socket) => once(socket, 'close'));
    for (const socket of stuck) {
      socket.write(
        `GET /api/v1/events?last=100 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer token\r\n\r\n`,
      );
      await once(socket, 'readable');
    }
    // More than any socket buffer holds.
    for (let i = 0; i < 200; i++) recorder.addExchange(exchangeRecord({ path: `/${'x'.repeat(100_000)}` }));
    await letIn(Number(port));
    for (const socket of stuck) socket.destroy();
    expect(await Promise.all(closed)).toHaveLength(64);
    await impatient.close();
  });
});

/** Resolves when another subscriber is let in. */
async function letIn(port: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/events`, {
      headers: { authorization: 'Bearer token' },
    });
    await response.body?.cancel();
    if (response.status === 200) return;
    await new Promise(setImmediate);
  }
}
