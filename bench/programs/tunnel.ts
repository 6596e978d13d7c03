/** TLS to an origin, through CONNECT where there is a proxy; any certificate is taken. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';

export interface Way {
  /** The proxy's port on 127.0.0.1; null to go straight. */
  readonly proxy: number | null;
  readonly host: string;
  readonly port: number;
}

export async function openTls({ proxy, host, port }: Way, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = await (proxy === null ? openTcp(host, port) : throughProxy(proxy, host, port));
  socket.setNoDelay(true);
  return new Promise((resolve, reject) => {
    const tls = connectTls({ socket, rejectUnauthorized: false, ...options });
    tls.once('secureConnect', () => resolve(tls));
    tls.once('error', reject);
    tls.once('close', () => reject(new Error('closed in the handshake')));
  });
}

function openTcp(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function throughProxy(proxy: number, host: string, port: number): Promise<Socket> {
  const socket = await openTcp('127.0.0.1', proxy);
  socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
  return new Promise((resolve, reject) => {
    let head = '';
    socket.on('data', function read(chunk: Buffer) {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      if (/^HTTP\/1\.[01] 200/.test(head)) resolve(socket);
      else reject(new Error(`CONNECT was answered with ${head.split('\r\n')[0]}`));
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed at CONNECT')));
  });
}

/** One GET on a kept-alive connection whose response has a Content-Length. */
export function get(tls: TLSSocket, host: string, path: string): Promise<void> {
  tls.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: bench\r\n\r\n`);
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!text.startsWith('HTTP/1.1 200')) return reject(new Error(text.slice(0, 300)));
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? NaN);
      // A chunked body of this size comes in one piece, with its last chunk.
      if (Number.isNaN(length) ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + length) {
        tls.off('data', read);
        resolve();
      }
    };
    tls.on('data', read);
    tls.once('close', () => reject(new Error('closed before the response')));
  });
}
