/** Serves only the metrics, on a separate address and without a token; no other route of the admin API. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { authorityOf } from '../core/authority.ts';
import { badConfiguration, nativeCode } from '../core/errors.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsServer {
  /** `0.0.0.0:9464`, as bound. */
  readonly address: string;
  close(): Promise<void>;
}

/** A scrape has a few hundred bytes of fields and takes milliseconds. */
const LIMITS = { maxHeaderSize: 8_192, headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 65_000 };
/** Scrapers are few; the descriptors are the proxy's. */
const MOST_CONNECTIONS = 32;

/**
 * @param flush brings the counts up to the last exchange that has ended
 * @throws MtlsdError BAD_CONFIGURATION where the address can't be listened on
 */
export async function startMetricsServer(
  metrics: Pick<Metrics, 'text' | 'contentType'>,
  { host, port }: { readonly host: string; readonly port: number },
  flush: () => void,
): Promise<MetricsServer> {
  const server = createServer({ ...LIMITS, connectionsCheckingInterval: 1_000 }, (request, response) => {
    const { method, url } = request;
    const fields = { 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };
    if (url?.split('?')[0] !== '/metrics') return void response.writeHead(404, fields).end('see /metrics\n');
    if (method !== 'GET' && method !== 'HEAD')
      return void response.writeHead(405, { ...fields, Allow: 'GET, HEAD' }).end();
    flush();
    metrics.text().then(
      (text) => response.writeHead(200, { ...fields, 'Content-Type': metrics.contentType }).end(text),
      () => response.writeHead(500, fields).end(),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.on('clientError', (_error, socket) => socket.destroy());
  try {
    await once(server.listen({ host, port, ipv6Only: true }), 'listening');
  } catch (error) {
    throw badConfiguration(
      `can't listen on ${host}:${port} for the metrics: ${nativeCode(error) ?? String(error)}`,
      'choose another address for metrics.listen in mtlsd.yaml',
      error,
    );
  }
  server.on('error', () => {}); // EMFILE and similar: the kernel keeps the clients that wait
  const bound = server.address() as AddressInfo;
  return {
    address: authorityOf(bound.address, bound.port).text,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
