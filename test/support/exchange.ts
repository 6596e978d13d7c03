/** One request through the daemon in this process, for tests that make hundreds; and all that the daemon says of it. */
import { withApiHints } from '../../src/admin/hints.ts';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { connect as connectH2 } from 'node:http2';
import type { ConnectionRecord, ExchangeRecord } from '../../src/inspect/records/types.ts';
import type { RunningDaemon } from './daemon.ts';
import { throughTunnel } from './tunnel.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A request on a tunnel of its own; the answer whole. */
export async function ask(
  daemon: Pick<RunningDaemon, 'proxyPort' | 'caFile'>,
  authority: string,
  { method = 'GET', path = '/', headers = {}, body }: Ask = {},
): Promise<Answer> {
  const socket = await throughTunnel(daemon, authority);
  try {
    return await new Promise((resolve, reject) => {
      const fields = { host: authority, connection: 'close', ...headers };
      const outgoing = httpRequest({ createConnection: () => socket, method, path, headers: fields }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
        response.on('error', reject);
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  } finally {
    socket.destroy();
  }
}

/** The same over HTTP/2. */
export async function askH2(
  daemon: Pick<RunningDaemon, 'proxyPort' | 'caFile'>,
  authority: string,
  { method = 'GET', path = '/', headers = {}, body }: Ask = {},
): Promise<Answer> {
  const socket = await throughTunnel(daemon, authority, { ALPNProtocols: ['h2'] });
  const session = connectH2(`https://${authority}`, {
    createConnection: () => socket,
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ':method': method, ':path': path, ...headers });
      let text = '';
      let head: IncomingHttpHeaders = {};
      stream.on('response', (received) => {
        head = received;
      });
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      stream.on('error', reject);
      stream.on('end', () => resolve({ status: Number(head[':status'] ?? 0), headers: head, body: text }));
      stream.end(body);
    });
  } finally {
    session.destroy();
  }
}

export interface Told {
  readonly exchange: ExchangeRecord;
  /** null where none was reached. */
  readonly connection: ConnectionRecord | null;
}

/**
 * What the log says of the exchange with that path, once the API has said the same.
 * @throws Error where log and API differ
 */
export async function toldOf(daemon: RunningDaemon, path: string): Promise<Told> {
  const line = await daemon.event('exchange', (each) => each.path === path);
  const exchange = await recorded<ExchangeRecord>(daemon, 'exchanges', line.exchange as string, line);
  if (exchange.connection === null) return { exchange, connection: null };
  const { connection } = exchange;
  const of = daemon.log.find((each) => each.event.startsWith('tls.') && each.connection === connection);
  return { exchange, connection: await recorded<ConnectionRecord>(daemon, 'connections', connection, of) };
}

async function recorded<T>(daemon: RunningDaemon, route: string, id: string, line: object | undefined): Promise<T> {
  const record = (await (await daemon.api(`/api/v1/${route}/${id}`)).json()) as T;
  const { level: _level, time: _time, ...logged } = (line ?? {}) as Record<string, unknown>;
  // The same data, and next steps in the words of each.
  if (JSON.stringify(withApiHints(logged)) !== JSON.stringify(record))
    throw new Error(`log and API differ on ${id}:\n${JSON.stringify(logged)}\n${JSON.stringify(record)}`);
  return logged as unknown as typeof record;
}
