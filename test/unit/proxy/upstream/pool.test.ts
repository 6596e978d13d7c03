/** The pool without a network: dials that the test answers, and connections whose other end it holds. */
import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { MtlsdError } from '../../../../src/core/errors.ts';
import { type SettlementRules, UpstreamConnection } from '../../../../src/proxy/upstream/connection.ts';
import type { DialPlan } from '../../../../src/proxy/upstream/record-draft.ts';
import { Pool, type PoolOptions, type Ticket, type Version } from '../../../../src/proxy/upstream/pool.ts';
import { Pools } from '../../../../src/proxy/upstream/pools.ts';
import { routeOf } from '../../../../src/proxy/upstream/route.ts';
import type { UpstreamEvents, UpstreamRequest } from '../../../../src/proxy/upstream/stream.ts';
import { connectionRecord } from '../../../support/records.ts';

const route = routeOf({
  scheme: 'https',
  authority: parseAuthority('api.example:443'),
  wish: {},
  choice: { entry: null, reason: 'no entry matches' },
  policy: { id: 'policy' } as never,
});

const refused = (message = 'refused'): MtlsdError =>
  new MtlsdError('CONNECTION_REFUSED', message, { nothingSent: true });

/** One dial: what was asked for, and the answer. */
class Dialled {
  readonly alpn: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly answer = Promise.withResolvers<UpstreamConnection>();
  /** The origin's end, once it accepted. */
  far: Duplex | null = null;
  got = '';

  constructor({ alpn }: DialPlan, signal: AbortSignal | undefined) {
    this.alpn = alpn;
    this.signal = signal;
    signal?.addEventListener('abort', () => this.answer.reject(refused('aborted')));
  }

  async accept(
    rules: SettlementRules | null = null,
    alpn = 'http/1.1',
    origin: 'speaks' | 'silent' = 'speaks',
  ): Promise<UpstreamConnection> {
    const [near, far] = duplexPair();
    if (alpn === 'h2' && origin === 'speaks')
      performServerHandshake(far as Socket)
        .on('error', () => {})
        .on('stream', (stream: ServerHttp2Stream) => stream.respond({ ':status': 204 }, { endStream: true }));
    else
      far.on('data', (bytes: Buffer) => {
        this.got += bytes.toString('latin1');
      });
    this.far = far;
    const base = connectionRecord({});
    const record = connectionRecord({ tls: base.tls && { ...base.tls, alpn } });
    const connection = new UpstreamConnection(near as unknown as Socket, record, rules);
    this.answer.resolve(connection);
    await settled();
    return connection;
  }

  async fail(error: MtlsdError): Promise<void> {
    this.answer.reject(error);
    await settled();
  }

  /** Answers the request that came last. */
  async respond(): Promise<void> {
    this.far?.write('HTTP/1.1 204 No Content\r\n\r\n');
    await settled();
  }

  /** The paths of the requests that it got, in order. */
  get paths(): string[] {
    return [...this.got.matchAll(/^\w+ (\S+) HTTP/gm)].map(([, path]) => path ?? '');
  }
}

/** Promises, ticks and streams of one turn have done their work. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await nextTurn();
}

let dials: Dialled[];
/** Events of all requests, as they came: `a reached`. */
let said: string[];
let faults: unknown[];

function optionsOf({ maxConnections = 2, waitMs = 0, keepAliveMs = 4_000 } = {}): PoolOptions {
  return {
    dial: (plan, signal) => {
      const dialled = new Dialled(plan, signal);
      dials.push(dialled);
      return dialled.answer.promise;
    },
    openPlain: () => Promise.reject(new Error('no plain HTTP in here')),
    plainProxy: () => null,
    headerBytes: 65_536,
    reportFault: (fault) => faults.push(fault),
    maxConnections,
    waitMs,
    keepAliveMs,
  };
}

const poolOf = (limits?: Parameters<typeof optionsOf>[0]): Pool => new Pool(route, optionsOf(limits));

function ask(pool: Pool, name: string, version: Version = 'h1', method = 'GET', tunnel: string | null = null): Ticket {
  const request: UpstreamRequest = {
    method,
    path: `/${name}`,
    fields: [],
    host: 'api.example',
    hasBody: false,
    teTrailers: false,
    tunnel,
  };
  const note = (what: string) => (): void => void said.push(`${name} ${what}`);
  const events: UpstreamEvents = {
    onReached: note('reached'),
    onInform: note('inform'),
    onResponse: note('response'),
    onData: note('data'),
    onEnd: note('end'),
    onTunnel: note('tunnel'),
    onDrain: note('drain'),
    onError: (error) => void said.push(`${name} ${error instanceof MtlsdError ? error.code : error.kind}`),
    onWithdrawn: note('withdrawn'),
  };
  return pool.request(version, request, method === 'GET', events);
}

const dialled = (index: number): Dialled => {
  const dial = dials[index];
  if (!dial) throw new Error(`there is no dial ${index}`);
  return dial;
};

beforeEach(() => {
  dials = [];
  said = [];
  faults = [];
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
});

test('an idle connection is used again, and no other is dialled', async () => {
  const pool = poolOf();
  ask(pool, 'a');
  await dialled(0).accept();
  await dialled(0).respond();
  ask(pool, 'b');
  await settled();
  await dialled(0).respond();
  expect(dialled(0).paths).toEqual(['/a', '/b']);
  expect(dials).toHaveLength(1);
  expect(said).toEqual(['a reached', 'a response', 'a end', 'b reached', 'b response', 'b end']);
});

test('at the cap, requests wait and are served in the order of their coming', async () => {
  const pool = poolOf();
  for (const name of ['a', 'b', 'c', 'd', 'e']) ask(pool, name);
  await settled();
  expect(dials).toHaveLength(2);
  await dialled(0).accept();
  await dialled(1).accept();
  expect(said).toEqual(['a reached', 'b reached']);
  expect(pool.stats).toEqual({ connected: 2, running: 2, pending: 3 });
  await dialled(1).respond();
  await dialled(0).respond();
  await dialled(1).respond();
  expect(dialled(0).paths).toEqual(['/a', '/d']);
  expect(dialled(1).paths).toEqual(['/b', '/c', '/e']);
  expect(dials).toHaveLength(2);
});

test('a request whose client left is dropped, and a dial that nobody waits for stops', async () => {
  const pool = poolOf();
  const a = ask(pool, 'a');
  const b = ask(pool, 'b');
  ask(pool, 'c');
  await settled();
  b.cancel();
  expect(dials.map(({ signal }) => signal?.aborted)).toEqual([false, false]);
  a.cancel();
  expect(dials.map(({ signal }) => signal?.aborted)).toEqual([false, true]);
  await dialled(0).accept();
  expect(dialled(0).paths).toEqual(['/c']);
  expect(said).toEqual(['c reached']);
});

test('a dial whose requests all left makes no connection', async () => {
  const pool = poolOf();
  ask(pool, 'a').cancel();
  await settled();
  expect(dialled(0).signal?.aborted).toBe(true);
  expect(pool.empty).toBe(true);
  expect(said).toEqual([]);
});

test('to cancel does nothing once the request was written', async () => {
  const pool = poolOf();
  const a = ask(pool, 'a');
  await dialled(0).accept();
  a.cancel();
  await dialled(0).respond();
  expect(said).toEqual(['a reached', 'a response', 'a end']);
});

test('a store change: what waits is decided again, dials stop, idle connections close, and what is under way finishes', async () => {
  const pool = poolOf();
  ask(pool, 'a');
  ask(pool, 'b');
  ask(pool, 'c');
  const busy = await dialled(0).accept();
  ask(pool, 'd');
  pool.retire();
  expect(dialled(1).signal?.aborted).toBe(true);
  expect(said).toEqual(['a reached', 'b withdrawn', 'c withdrawn', 'd withdrawn']);
  await dialled(0).respond();
  expect(said.slice(4)).toEqual(['a response', 'a end']);
  expect(busy.socket.destroyed).toBe(true);
});

test('a connection that comes after the store change is ended, and no request is written on it', async () => {
  const pool = poolOf();
  ask(pool, 'a');
  const { answer } = dialled(0);
  const [near] = duplexPair();
  const late = new UpstreamConnection(near as unknown as Socket, connectionRecord({}));
  answer.resolve(late);
  pool.retire();
  await settled();
  expect(late.socket.destroyed).toBe(true);
  expect(said).toEqual(['a withdrawn']);
});

test('where no connection is open, a failed dial fails everybody who waited when it began', async () => {
  const pool = poolOf({ maxConnections: 1 });
  for (const name of ['a', 'b', 'c']) ask(pool, name);
  vi.advanceTimersByTime(10);
  await dialled(0).fail(refused());
  // b and c came in the same moment as the dial; nobody dials for them again.
  expect(said).toEqual(['a CONNECTION_REFUSED', 'b CONNECTION_REFUSED', 'c CONNECTION_REFUSED']);
  expect(dials).toHaveLength(1);
});

test('who came after a dial began gets one of their own', async () => {
  const pool = poolOf({ maxConnections: 1 });
  ask(pool, 'a');
  vi.advanceTimersByTime(10);
  ask(pool, 'b');
  await dialled(0).fail(refused());
  expect(said).toEqual(['a CONNECTION_REFUSED']);
  await dialled(1).accept();
  expect(said).toEqual(['a CONNECTION_REFUSED', 'b reached']);
});

test('where another connection is open, a failed dial fails the one that waited longest', async () => {
  const pool = poolOf();
  ask(pool, 'a');
  await dialled(0).accept();
  ask(pool, 'b');
  ask(pool, 'c');
  vi.advanceTimersByTime(10);
  await dialled(1).fail(refused());
  expect(said).toEqual(['a reached', 'b CONNECTION_REFUSED']);
  await dialled(0).respond();
  expect(said).toContain('c reached');
});

test('an idle connection whose time is up is not used, and the sweep closes it', async () => {
  const pool = poolOf({ keepAliveMs: 100 });
  ask(pool, 'a');
  const connection = await dialled(0).accept();
  await dialled(0).respond();
  vi.advanceTimersByTime(50);
  pool.sweep();
  expect(connection.socket.destroyed).toBe(false);
  vi.advanceTimersByTime(60);
  pool.sweep();
  expect(connection.socket.destroyed).toBe(true);
  await settled();
  expect(pool.empty).toBe(true);
  ask(pool, 'b');
  expect(dials).toHaveLength(2);
});

test('a wait ends where all connections stay busy, and not while one is dialled', async () => {
  const pool = poolOf({ maxConnections: 1, waitMs: 1_000 });
  ask(pool, 'a');
  vi.advanceTimersByTime(2_000);
  pool.sweep();
  expect(said).toEqual([]);
  await dialled(0).accept();
  ask(pool, 'b');
  vi.advanceTimersByTime(900);
  ask(pool, 'c');
  pool.sweep();
  expect(said).toEqual(['a reached']);
  vi.advanceTimersByTime(200);
  pool.sweep();
  expect(said).toEqual(['a reached', 'b RESPONSE_TIMEOUT']);
  await dialled(0).respond();
  expect(said).toContain('c reached');
});

test('10,000 requests may wait; the next is refused', () => {
  const pool = poolOf();
  for (let i = 0; i < 10_000; i++) ask(pool, 'w');
  expect(said).toEqual([]);
  ask(pool, 'over');
  expect(said).toEqual(['over OVERLOADED']);
  pool.destroy();
});

test('the failure of a dial ahead answers the request that comes within 5 s, once', async () => {
  const pool = poolOf();
  pool.warm('h1');
  await dialled(0).fail(refused());
  ask(pool, 'a');
  await settled();
  expect(said).toEqual(['a CONNECTION_REFUSED']);
  ask(pool, 'b');
  expect(dials).toHaveLength(2);
});

test('… and not one that comes later', async () => {
  const pool = poolOf();
  pool.warm('h1');
  await dialled(0).fail(refused());
  vi.advanceTimersByTime(5_001);
  ask(pool, 'a');
  expect(dials).toHaveLength(2);
});

test('a connection that was dialled ahead is taken by the request that comes', async () => {
  const pool = poolOf();
  pool.warm('h1');
  pool.warm('h1');
  ask(pool, 'a');
  await dialled(0).accept();
  expect(dials).toHaveLength(1);
  expect(said).toEqual(['a reached']);
});

test.each([
  ['http/1.1', 'h1', 'h2'],
  ['h2', 'h2', 'h1'],
] as const)(
  'at the cap, an idle connection of %s gives its place to a request that needs the other',
  async (alpn, first, then) => {
    const pool = poolOf({ maxConnections: 1 });
    ask(pool, 'a', first);
    const connection = await dialled(0).accept(null, alpn);
    if (alpn === 'http/1.1') await dialled(0).respond();
    await vi.waitFor(() => expect(said).toContain('a end'), { interval: 0 });
    await settled();
    ask(pool, 'b', then);
    await settled();
    expect(connection.socket.destroyed).toBe(true);
    expect(dials).toHaveLength(2);
    expect(dialled(1).alpn[0]).toBe(then === 'h2' ? 'h2' : 'http/1.1');
  },
);

test('an origin without HTTP/2 is asked for it once', async () => {
  const pool = poolOf();
  ask(pool, 'a', 'h2');
  ask(pool, 'b', 'h2');
  expect(dials.map(({ alpn }) => alpn)).toEqual([['h2', 'http/1.1']]);
  await dialled(0).accept();
  expect(said).toEqual(['a reached']);
  expect(dials.map(({ alpn }) => alpn)).toEqual([['h2', 'http/1.1'], ['http/1.1']]);
  ask(pool, 'c', 'h2');
  await dialled(1).accept();
  await dialled(0).respond();
  expect(dialled(0).paths).toEqual(['/a', '/c']);
  expect(dialled(1).paths).toEqual(['/b']);
});

test('an origin that has only HTTP/2 says so by its alert, and is dialled for that', async () => {
  const pool = poolOf();
  ask(pool, 'a');
  const alert = { number: 120, name: 'no_application_protocol', meaning: '' };
  await dialled(0).fail(new MtlsdError('TLS_FAILED', 'no protocol in common', { alert, nothingSent: true }));
  expect(said).toEqual([]);
  expect(dials.map(({ alpn }) => alpn)).toEqual([['http/1.1'], ['h2', 'http/1.1']]);
});

const undecided = (outcome: 'accepts' | 'refuses'): SettlementRules => ({
  capMs: 500,
  accepted: () => connectionRecord({}),
  refused: () => new MtlsdError('CLIENT_CERTIFICATE_REFUSED', outcome),
});

test('before the server accepted our certificate, what may be repeated is written, and the rest waits', async () => {
  const pool = poolOf({ maxConnections: 1 });
  ask(pool, 'post', 'h1', 'POST');
  const connection = await dialled(0).accept(undecided('accepts'));
  expect(said).toEqual([]);
  connection.heard();
  await settled();
  expect(said).toEqual(['post reached']);

  const other = poolOf();
  ask(other, 'get');
  await dialled(1).accept(undecided('accepts'));
  expect(said).toEqual(['post reached', 'get reached']);
});

test('a server that refuses our certificate before anything was written answers who waits longest', async () => {
  const pool = poolOf({ maxConnections: 1 });
  ask(pool, 'a', 'h1', 'POST');
  ask(pool, 'b', 'h1', 'POST');
  await dialled(0).accept(undecided('refuses'));
  dialled(0).far?.destroy();
  await settled();
  expect(said).toEqual(['a CLIENT_CERTIFICATE_REFUSED']);
  expect(dials).toHaveLength(2); // for b
});

test('without keep-alive, a connection still waits for its first request, and is not dialled again and again', async () => {
  const pool = poolOf({ keepAliveMs: 0 });
  ask(pool, 'a');
  await dialled(0).accept();
  expect(said).toEqual(['a reached']);
  await dialled(0).respond();
  ask(pool, 'post', 'h1', 'POST');
  const connection = await dialled(1).accept(undecided('accepts'));
  vi.advanceTimersByTime(1_000);
  pool.sweep();
  connection.heard();
  await settled();
  expect(said.slice(-1)).toEqual(['post reached']);
  expect(dials).toHaveLength(2);
});

test('an HTTP/2 connection that ends before its settings fails a WebSocket that waits for them', async () => {
  const pool = poolOf();
  ask(pool, 'a', 'h2', 'CONNECT', 'websocket');
  ask(pool, 'b', 'h2', 'CONNECT', 'websocket');
  const connection = await dialled(0).accept(null, 'h2', 'silent');
  expect(said).toEqual([]);
  connection.socket.destroy();
  await settled();
  expect(said).toEqual(['a CONNECTION_CLOSED']);
  expect(dials).toHaveLength(2); // for b
});

test.each(['http/1.1', 'h2'])(
  '512 idle connections are kept over all pools (%s); those idle for longest close',
  async (alpn) => {
    const pools = new Pools(optionsOf({ keepAliveMs: 60_000 }));
    const connections: UpstreamConnection[] = [];
    for (let i = 0; i < 520; i++) {
      const authority = parseAuthority(`host-${i}.example:443`);
      pools.pool(routeOf({ ...route, authority })).warm('h2');
      connections.push(await dialled(i).accept(null, alpn));
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(1_000);
    await settled();
    expect(connections.map(({ socket }) => socket.destroyed)).toEqual(connections.map((_, i) => i < 8));
    pools.close();
    await settled();
    expect(connections.every(({ socket }) => socket.destroyed)).toBe(true);
  },
);
