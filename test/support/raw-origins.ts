/** Origins that answer with bytes of the test's own, in either version of HTTP, and count what reached them. */
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { FLAG, FRAME, frame, frameReader, PREFACE } from './h2-frames.ts';

export interface RawOrigin {
  readonly port: number;
  readonly url: string;
  /** Heads of requests (HTTP/1.1), or stream numbers (HTTP/2). */
  readonly requests: string[];
  /** Connections past their handshake. */
  readonly connections: () => number;
  readonly open: () => number;
  /** Resolves when no connection is open. */
  emptied(): Promise<void>;
  close(): Promise<void>;
}

type AnswerH1 = (socket: Socket, head: string) => void;
type AnswerH2 = (socket: Socket, stream: number, endsStream: boolean) => void;

/** Takes requests without bodies, or with bodies by Content-Length or chunked coding, which are skipped. */
export function rawOrigin(tls: TlsOptions | null, answer: AnswerH1): Promise<RawOrigin> {
  return listening(tls && { ...tls, ALPNProtocols: ['http/1.1'] }, (socket, requests) => {
    let held = '';
    let skipping: 'no' | 'chunked' | number = 'no';
    socket.on('data', (bytes: Buffer) => {
      held += bytes.toString('latin1');
      for (;;) {
        if (skipping === 'chunked') {
          const end = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(held);
          if (!end) return;
          held = held.slice(end.index + end[0].length);
        } else if (skipping !== 'no') {
          if (held.length < skipping) return;
          held = held.slice(skipping);
        }
        skipping = 'no';
        const end = held.indexOf('\r\n\r\n');
        if (end === -1) return;
        const head = held.slice(0, end);
        held = held.slice(end + 4);
        if (/^transfer-encoding:/im.test(head)) skipping = 'chunked';
        const length = /^content-length: *(\d+)/im.exec(head)?.[1];
        if (length !== undefined) skipping = Number(length);
        requests.push(head);
        answer(socket, head);
      }
    });
  });
}

/** @param hello what it sends first; empty for an origin that speaks by `answer` alone */
export function rawH2Origin(
  tls: TlsOptions,
  answer: AnswerH2,
  hello: Buffer = frame(FRAME.settings, 0, 0),
): Promise<RawOrigin> {
  return listening({ ...tls, ALPNProtocols: ['h2'] }, (socket, requests) => {
    if (hello.length > 0) socket.write(hello);
    const read = frameReader(({ type, flags, stream, payload }) => {
      if (hello.length > 0 && type === FRAME.settings && (flags & FLAG.ack) === 0)
        socket.write(frame(FRAME.settings, FLAG.ack, 0));
      if (type === FRAME.ping && (flags & FLAG.ack) === 0) socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
      if (type !== FRAME.headers) return;
      requests.push(String(stream));
      answer(socket, stream, (flags & FLAG.endStream) !== 0);
    }, PREFACE.length);
    socket.on('data', read);
  });
}

async function listening(
  tls: TlsOptions | null,
  use: (socket: Socket, requests: string[]) => void,
): Promise<RawOrigin> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const waiters = new Set<() => void>();
  let connections = 0;
  const take = (socket: Socket): void => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const wake of waiters) wake();
    });
    use(socket, requests);
  };
  const server: Server = tls ? createTlsServer(tls, take) : createTcpServer(take);
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls ? 'https' : 'http'}://localhost:${port}`,
    requests,
    connections: () => connections,
    open: () => sockets.size,
    emptied: () =>
      new Promise((resolve) => {
        if (sockets.size === 0) resolve();
        else waiters.add(resolve);
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
