/** Servers that answer with inputs: an origin in either version of HTTP, or an upstream proxy. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { FLAG, FRAME, frame, frameReader, headers, PREFACE } from '../../test/support/h2-frames.ts';
import { onStream } from './frames.ts';
import { endAs, readScript, type Script, writeInParts } from './script.ts';

export interface HostilePeer {
  readonly port: number;
  /** The next one that asks gets this input; resolves when the work is done, also if no peer connected. */
  answering(input: Buffer, work: () => Promise<void>): Promise<void>;
  /** Drops all connections. */
  settle(): void;
  close(): Promise<void>;
}

interface Queued {
  readonly script: Script;
}

/** What a connection says: asks for the next input, or takes one that comes before any question. */
type Speak = (socket: Duplex, raw: Socket, next: () => Script | null, early: () => Script | null) => void;

export const hostileH1 = (tls: TlsOptions | null): Promise<HostilePeer> =>
  listen(tls && { ...tls, ALPNProtocols: ['http/1.1'] }, speakH1);

export const hostileH2 = (tls: TlsOptions): Promise<HostilePeer> => listen({ ...tls, ALPNProtocols: ['h2'] }, speakH2);

const PLAIN = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

function speakH1(socket: Duplex, raw: Socket, next: () => Script | null, early: () => Script | null): void {
  const first = early();
  if (first) void say(first, socket, raw);
  socket.on('data', (bytes: Buffer) => {
    // A body that comes in a piece of its own asks for nothing.
    if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(bytes.toString('latin1', 0, 2000))) return;
    const script = next();
    if (script) void say(script, socket, raw);
    else socket.write(PLAIN);
  });
}

function speakH2(socket: Duplex, raw: Socket, next: () => Script | null, early: () => Script | null): void {
  const first = early();
  if (first) void say(first, socket, raw);
  socket.write(frame(FRAME.settings, 0, 0));
  const read = frameReader(({ type, flags, stream, payload }) => {
    if (type === FRAME.settings && (flags & FLAG.ack) === 0) socket.write(frame(FRAME.settings, FLAG.ack, 0));
    if (type === FRAME.ping && (flags & FLAG.ack) === 0) socket.write(frame(FRAME.ping, FLAG.ack, 0, payload));
    if (type !== FRAME.headers) return;
    const script = next();
    if (script) void say({ ...script, bytes: onStream(script.bytes, stream) }, socket, raw);
    else socket.write(headers(stream, [':status', '200'], true));
  }, PREFACE.length);
  socket.on('data', read);
}

async function say(script: Script, socket: Duplex, raw: Socket): Promise<void> {
  await writeInParts(socket, script);
  await endAs(script.end, socket, raw);
}

async function listen(tls: TlsOptions | null, speak: Speak): Promise<HostilePeer> {
  const queue: Queued[] = [];
  const sockets = new Set<Socket>();
  const below = new Map<number, Socket>();
  const next = (): Script | null => queue.shift()?.script ?? null;
  const early = (): Script | null => (queue[0]?.script.early ? next() : null);
  const raw = (socket: Socket): void => {
    sockets.add(socket);
    const port = socket.remotePort ?? 0;
    below.set(port, socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      if (below.get(port) === socket) below.delete(port);
    });
    if (!tls) speak(socket, socket, next, early);
  };
  const server: Server = tls
    ? createTlsServer(tls, (socket: TLSSocket) => {
        socket.on('error', () => {}).setMaxListeners(0); // each input on it waits for its close
        const tcp = below.get(socket.remotePort ?? 0);
        if (!tcp) return void socket.destroy();
        socket.once('close', () => tcp.destroy());
        speak(socket, tcp, next, early);
      })
    : createServer();
  server.on('connection', raw).on('tlsClientError', () => {});
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async answering(input, work) {
      const queued = { script: readScript(input) };
      queue.push(queued);
      try {
        await work();
      } finally {
        const at = queue.indexOf(queued);
        if (at !== -1) queue.splice(at, 1);
      }
    },
    settle() {
      for (const socket of sockets) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
