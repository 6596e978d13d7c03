/** An origin on HTTP/2 (and 1.1 where allowed) that echoes what it got. */
import http2, {
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface H2Seen {
  readonly headers: IncomingHttpHeaders;
  /** Flat, pseudo-fields too. */
  readonly raw: string[];
  readonly client: string | null;
}

export interface H2Origin {
  readonly port: number;
  readonly url: string;
  readonly seen: readonly H2Seen[];
  readonly sessions: () => number;
  readonly server: Http2SecureServer;
  close(): Promise<void>;
}

export async function h2Origin(
  options: SecureServerOptions,
  onStream: ((stream: ServerHttp2Stream, seen: H2Seen) => void) | null = (stream, { headers, raw, client }) => {
    const chunks: Buffer[] = [];
    let trailers: string[] = [];
    stream.on('trailers', (...[, , list]: unknown[]) => {
      trailers = list as string[];
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/json', 'x-twice': ['1', '2'] },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers(headers.te === 'trailers' ? { 'x-trailer': 'after' } : {}));
      stream.end(
        JSON.stringify({
          method: headers[':method'],
          path: headers[':path'],
          raw,
          client,
          trailers,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      );
    });
  },
): Promise<H2Origin> {
  const seen: H2Seen[] = [];
  const sessions = new Set<http2.ServerHttp2Session>();
  let count = 0;
  const server = http2.createSecureServer({ ...options });
  server.on('session', (session) => {
    count += 1;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: unknown) => {
    const peer = (stream.session?.socket as TLSSocket | undefined)?.getPeerX509Certificate?.();
    const one = { headers, raw: raw as string[], client: /^CN=(.*)$/m.exec(peer?.subject ?? '')?.[1] ?? null };
    seen.push(one);
    stream.on('error', () => {});
    onStream?.(stream, one);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `https://localhost:${port}`,
    seen,
    sessions: () => count,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}
