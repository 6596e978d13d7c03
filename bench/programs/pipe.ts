/**
 * A limit: the least that a Node program can do between two TLS connections in one process. CONNECT, TLS towards the client
 * with a leaf that was made before, one TLS connection to the origin for each of the client's, bytes piped; nothing is parsed,
 * chosen, pooled or logged.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { createPki } from '../../test/support/pki.ts';
import type { ProgramOptions } from '../candidates/node-program.ts';

const { port, cert, key, ca } = JSON.parse(process.argv[2] ?? '') as ProgramOptions;
const leaf = await (await (await createPki()).root()).issue({ cn: 'localhost', sans: ['localhost', '127.0.0.1'] });
const towardsClient = createSecureContext({ cert: leaf.chainPem, key: leaf.keyPem });
const towardsOrigin = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca) });

createServer((client: Socket) => {
  client.setNoDelay(true);
  client.on('error', () => client.destroy());
  client.once('data', (head: Buffer) => {
    const [, host, target] = /^CONNECT ([^: ]+):(\d+) /.exec(head.toString('latin1')) ?? [];
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    const inner = new TLSSocket(client, { isServer: true, secureContext: towardsClient });
    const origin = connect({ host, port: Number(target), secureContext: towardsOrigin });
    origin.setNoDelay(true);
    const ignore = (): void => {};
    pipeline(inner, origin, ignore);
    pipeline(origin, inner, ignore);
  });
}).listen(port, '127.0.0.1');
