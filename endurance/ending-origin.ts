/** An origin that ends every connection at one stage, in one way. */
import { once } from 'node:events';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { reset } from '../fuzz/wire/script.ts';
import { frame, FRAME, frameReader, headers, PREFACE } from '../test/support/h2-frames.ts';

export type Version = 'h1' | 'h2';
export type End = 'fin' | 'reset';
export const ORIGIN_STAGES = ['accept', 'hello', 'settled', 'head', 'body', 'response'] as const;
/** `never` begins a response and does not end. */
export type Stage = (typeof ORIGIN_STAGES)[number] | 'never';

export interface EndingOrigin {
  readonly port: number;
  /** Ends the connections that it kept. */
  drop(): void;
  close(): Promise<void>;
}

/** @param socket the TLS socket above it, where there is one */
export function end(as: End, raw: Socket, socket: Duplex = raw): void {
  if (as === 'reset') return void reset(socket, raw);
  setImmediate(() => raw.end(() => raw.destroy())); // TLS above it may be reading
}

export async function endingOrigin(
  tls: { readonly key: string; readonly cert: string },
  version: Version,
  stage: Stage,
  as: End,
): Promise<EndingOrigin> {
  const sockets = new Map<number, Socket>();
  const early = stage === 'accept' || stage === 'hello';
  const server: Server = early
    ? createTcpServer()
    : createTlsServer({ ...tls, ALPNProtocols: [version === 'h1' ? 'http/1.1' : 'h2'] }, (socket: TLSSocket) => {
        socket.on('error', () => {});
        const raw = sockets.get(socket.remotePort ?? 0);
        if (!raw) return void socket.destroy();
        socket.once('close', () => raw.destroy());
        if (stage === 'settled') return end(as, raw, socket);
        (version === 'h1' ? speakH1 : speakH2)(socket, stage, () => end(as, raw, socket));
      });
  server.on('connection', (raw: Socket) => {
    const port = raw.remotePort ?? 0;
    sockets.set(port, raw);
    raw.on('error', () => {});
    raw.once('close', () => {
      if (sockets.get(port) === raw) sockets.delete(port);
    });
    if (stage === 'accept') end(as, raw);
    if (stage === 'hello') raw.once('data', () => end(as, raw));
  });
  server.on('tlsClientError', () => {}).listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  const drop = (): void => {
    for (const socket of sockets.values()) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    drop,
    async close() {
      const closed = once(server, 'close');
      server.close();
      drop();
      await closed;
    },
  };
}

function speakH1(socket: TLSSocket, stage: Stage, finish: () => void): void {
  let got = '';
  socket.on('data', (bytes: Buffer) => {
    got += bytes.toString('latin1');
    if (stage === 'head') return finish();
    const [, body = ''] = got.split('\r\n\r\n');
    if (body === '') return;
    if (stage === 'body') return finish();
    got = '';
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nha', () => void (stage === 'response' && finish()));
  });
}

function speakH2(socket: TLSSocket, stage: Stage, finish: () => void): void {
  socket.write(frame(FRAME.settings, 0, 0));
  const read = frameReader(({ type, flags, stream }) => {
    if (type === FRAME.settings && (flags & 1) === 0) socket.write(frame(FRAME.settings, 1, 0));
    if (type === FRAME.headers && stage === 'head') finish();
    if (type !== FRAME.data) return;
    if (stage === 'body') return finish();
    socket.write(headers(stream, [':status', '200'], false));
    socket.write(frame(FRAME.data, 0, stream, 'ha'), () => void (stage === 'response' && finish()));
  }, PREFACE.length);
  socket.on('data', read);
}
