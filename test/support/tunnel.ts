/** A TLS socket through the daemon's CONNECT, for requests that no client would send by itself. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

/** The raw socket after the daemon's 200; the status of another answer is thrown. */
export function connectThrough(proxyPort: number, authority: string, fields = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(proxyPort, '127.0.0.1');
    socket.once('error', reject);
    const closed = Object.assign(new Error('closed before the answer'), { code: 'ECONNRESET' });
    socket.once('close', () => reject(closed));
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`);
    let head = '';
    socket.on('data', function read(chunk: Buffer) {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      if (head.startsWith('HTTP/1.1 200 ')) resolve(socket);
      else reject(new Error(head));
    });
  });
}

export async function throughTunnel(
  daemon: { proxyPort: number; caFile: string },
  authority: string,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = await connectThrough(daemon.proxyPort, authority);
  const host = authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const tls = connectTls({
      socket,
      ca: readFileSync(daemon.caFile),
      servername: /^[\d.:]+$|:/.test(host) ? '' : host,
      host,
      ...options,
    });
    tls.once('secureConnect', () => resolve(tls));
    tls.once('error', reject);
  });
}
