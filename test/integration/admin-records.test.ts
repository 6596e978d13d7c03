import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeAnswer } from '../../src/admin/schemas/probe.ts';
import type { ConnectionRecord, ExchangeRecord } from '../../src/inspect/records/types.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { type AdminClient, adminClient, type Refusal } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import type { Origin } from '../support/origins.ts';

interface ExchangeList {
  readonly exchanges: readonly ExchangeRecord[];
  readonly next: string | null;
}

describe('records over the API', () => {
  const files = temporaryDirectory();
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;
  let admin: AdminClient;

  beforeAll(async () => {
    scene = await createScene({
      files,
      server: { sans: ['localhost', '127.0.0.1'] },
      store: ({ origin: { port } }) => `version: 1
certificates:
  - { name: alice, host: localhost, port: ${port}, cert: ${files}/alice.crt, key: ${files}/alice.key }
trust: { system: false, ca: [${files}/root.crt] }
`,
    });
    ({ origin, daemon } = scene);
    admin = await adminClient(daemon);
  });
  afterAll(() => scene.close());

  const get = (path: string) => curl(`${origin.url}${path}`, through(daemon));
  const exchanges = async (query = '') => (await admin.call<ExchangeList>('GET', `/api/v1/exchanges${query}`)).body;

  test('are listed newest first, page by page, and filtered', async () => {
    for (const path of ['/1', '/2', '/3']) await get(path);
    await curl(`https://127.0.0.1:${origin.port}/4`, through(daemon));
    const all = await exchanges();
    expect(all.exchanges.map(({ path }) => path)).toEqual(['/4', '/3', '/2', '/1']);
    expect(all.next).toBeNull();
    const first = await exchanges('?limit=3');
    expect([first.exchanges.length, first.next]).toEqual([3, first.exchanges[2]?.exchange]);
    expect((await exchanges(`?limit=3&before=${first.next}`)).exchanges.map(({ path }) => path)).toEqual(['/1']);
    expect((await exchanges('?failed=true')).exchanges.map(({ path }) => path)).toEqual(['/4']);
    expect((await exchanges('?host=localhost&failed=false')).exchanges).toHaveLength(3);
    expect((await exchanges('?certificate=alice&limit=1')).exchanges).toMatchObject([
      { path: '/3', certificate: 'alice' },
    ]);
    expect((await exchanges('?before=x-0-0')).exchanges).toEqual([]);
  });

  test('one by one, with the connection that they went over', async () => {
    const [failed] = (await exchanges('?failed=true')).exchanges;
    const one = await admin.call<ExchangeRecord>('GET', `/api/v1/exchanges/${failed?.exchange}`);
    expect(one.body).toMatchObject({ path: '/4', error: { code: 'CLIENT_CERTIFICATE_REQUIRED' } });
    const connection = await admin.call<ConnectionRecord>('GET', `/api/v1/connections/${failed?.connection}`);
    expect(connection.body).toMatchObject({
      event: 'tls.failed',
      client_certificate: { requested: true, sent: false },
    });
    for (const path of ['exchanges/x-0-0', 'connections/c-0-0'])
      expect((await admin.call('GET', `/api/v1/${path}`)).status).toBe(404);
    for (const path of ['exchanges/..%2fstatus', 'connections/%00'])
      expect((await daemon.api(`/api/v1/${path}`)).status).toBe(400);
  });

  test('as an HTTP archive, filtered too', async () => {
    const har = await admin.call<{ log: { version: string; entries: { _tls: unknown; request: { url: string } }[] } }>(
      'GET',
      '/api/v1/export.har?failed=false',
    );
    expect(har.headers.get('content-disposition')).toBe('attachment; filename="mtlsd.har"');
    expect(har.body.log.version).toBe('1.2');
    expect(har.body.log.entries.map(({ request }) => request.url)).toEqual(
      ['1', '2', '3'].map((path) => `${origin.url}/${path}`),
    );
    expect(har.body.log.entries[0]).toMatchObject({ _tls: { client_certificate: { sent: true, name: 'alice' } } });
  });

  test('come as events while they happen, each with its id', async () => {
    const events = await openEvents(daemon);
    expect([events.status, events.type]).toEqual([200, 'text/event-stream']);
    await get('/live');
    const exchange = await events.next(({ event }) => event === 'exchange');
    expect(exchange.data).toMatchObject({ path: '/live', status: 200 });
    expect(exchange.id).toMatch(/^[0-9a-f]{8}-\d+$/);
    events.close();

    await get('/missed-1');
    await get('/missed-2');
    const again = await openEvents(daemon, '', { 'last-event-id': exchange.id });
    const missed = [await again.next(), await again.next()];
    expect(missed.map(({ data }) => data.path)).toEqual(['/missed-1', '/missed-2']);
    again.close();
    // An id of another run: everything that is kept of this one.
    const [run, sequence] = exchange.id.split('-');
    const other = await openEvents(daemon, '', {
      'last-event-id': `${run === '00000000' ? '1' : '0'}0000000-${sequence}`,
    });
    expect((await other.next(({ event }) => event === 'exchange')).data.path).toBe('/1');
    other.close();
    const last = await openEvents(daemon, '?last=1');
    expect((await last.next()).data.path).toBe('/missed-2');
    last.close();
    expect((await admin.call<Refusal>('GET', '/api/v1/events?last=-1')).status).toBe(400);
  });

  test('a stream too many is refused, and a closed one makes room', async () => {
    const streams = await Promise.all(Array.from({ length: 64 }, () => openEvents(daemon)));
    expect(streams.every(({ status }) => status === 200)).toBe(true);
    const refused = await admin.call<Refusal>('GET', '/api/v1/events');
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'BUSY', '1']);
    await get('/to-all');
    for (const stream of streams)
      expect((await stream.next(({ event }) => event === 'exchange')).data.path).toBe('/to-all');
    for (const stream of streams) stream.close();
    for (;;) {
      const stream = await openEvents(daemon);
      stream.close();
      if (stream.status === 200) break;
    }
  });

  test('are counted for Prometheus', async () => {
    const { body } = await admin.call<string>('GET', '/metrics');
    const value = (line: string): number =>
      Number(new RegExp(`^${line.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(body)?.[1]);
    expect(value('mtlsd_exchanges_total{status="2xx",code=""}')).toBe(7);
    expect(value('mtlsd_exchanges_total{status="5xx",code="CLIENT_CERTIFICATE_REQUIRED"}')).toBe(1);
    expect(
      value('mtlsd_tls_handshakes_total{outcome="failed",code="CLIENT_CERTIFICATE_REQUIRED",certificate_sent="no"}'),
    ).toBeGreaterThan(0);
    expect(value('mtlsd_tls_handshakes_total{outcome="connected",code="",certificate_sent="yes"}')).toBeGreaterThan(0);
    expect(value('mtlsd_exchange_duration_seconds_count')).toBe(8);
    expect(value('mtlsd_certificates{state="usable"}')).toBe(1);
    expect(value('mtlsd_certificate_expiry_seconds{name="alice"}') / 86_400).toBeCloseTo(30, 0);
    expect(value('mtlsd_store_reloads_total{outcome="loaded"}')).toBeGreaterThan(0);
    expect(value('mtlsd_store_reloads_total{outcome="rejected"}')).toBe(0);
    expect(value('mtlsd_upstream_connections')).toBeGreaterThanOrEqual(0);
    expect(value('mtlsd_leaf_certificates')).toBe(2);
    expect(value('mtlsd_client_connections')).toBeGreaterThanOrEqual(0);
    expect(body).toContain('mtlsd_build_info{version=');
  });

  test('a probe looks at a server with the certificate that it would get', async () => {
    const probed = await admin.call<ProbeAnswer>('POST', '/api/v1/probe', {
      body: { authority: `localhost:${origin.port}`, ciphers: false },
    });
    expect(probed.body).toMatchObject({
      authority: `localhost:${origin.port}`,
      certificate: { name: 'alice', reason: 'exact host and port', usable: true },
      client_certificate: { requested: true, required: true, ours: 'accepted' },
      verification: { authorized: true, problems: [] },
      error: null,
    });
    const without = await admin.call<ProbeAnswer>('POST', '/api/v1/probe', {
      body: { authority: `localhost:${origin.port}`, certificate: null, ciphers: false },
    });
    expect(without.body).toMatchObject({
      certificate: { name: null },
      client_certificate: { required: true, ours: null },
    });
    const nobody = await admin.call<ProbeAnswer>('POST', '/api/v1/probe', { body: { authority: 'nowhere.invalid' } });
    expect(nobody.body.error).toContain('nowhere.invalid');
    const self = await admin.call<ProbeAnswer>('POST', '/api/v1/probe', {
      body: { authority: new URL(daemon.admin).host },
    });
    expect(self.body.error).toContain('is this daemon itself');
    for (const body of [
      {},
      { authority: 'a b' },
      { authority: 'a.example', certificate: 5 },
      { authority: 'a.example', more: 1 },
    ])
      expect((await admin.call('POST', '/api/v1/probe', { body })).status, JSON.stringify(body)).toBe(400);
    const unknown = await admin.call<Refusal>('POST', '/api/v1/probe', {
      body: { authority: 'a.example', certificate: 'alice' },
    });
    expect([unknown.status, unknown.body.code]).toEqual([422, 'CLIENT_CERTIFICATE_UNKNOWN']);
  });

  test('a daemon that stops ends its streams', async () => {
    const other = await startDaemon();
    const events = await openEvents(other);
    expect(await other.stop()).toBe(0);
    await events.ended;
  });
});
