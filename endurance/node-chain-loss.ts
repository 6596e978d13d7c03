/**
 * What Node loses for each connection whose chain is read, without mtlsd (docs/decisions/0002-reading-chains.md):
 * `node --expose-gc endurance/node-chain-loss.ts [CONNECTIONS]`.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { createPki } from '../test/support/pki.ts';

const connections = Number(process.argv[2] ?? 1_000);
const { gc } = globalThis;
if (!gc) throw new Error('needs --expose-gc');

const issuer = await (await (await createPki()).root()).intermediate();
const leaf = await (await issuer.intermediate()).issue();
const server = createServer({ key: leaf.keyPem, cert: leaf.chainPem }).on('tlsClientError', () => {});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const secureContext = createSecureContext({ ca: [] });

async function grown(read: (socket: TLSSocket) => unknown): Promise<string> {
  const before = process.memoryUsage.rss();
  for (let i = 0; i < connections; i++) {
    const socket = connect({ port, host: '127.0.0.1', secureContext, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    read(socket);
    socket.destroy();
    await once(socket, 'close');
    if (i % 100 === 0) gc?.();
  }
  gc?.();
  return `${((process.memoryUsage.rss() - before) / 1024 / connections).toFixed(1)} KB a connection`;
}

// The first ones fill the heap to its size.
await grown((socket) => socket.getPeerCertificate(true));
console.log(`${connections} connections, two certificates above the leaf`);
console.log(`getPeerCertificate(true): ${await grown((socket) => socket.getPeerCertificate(true))}`);
console.log(`getPeerX509Certificate(): ${await grown((socket) => socket.getPeerX509Certificate())}`);
server.close();
