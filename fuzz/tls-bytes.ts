/** A real handshake, byte for byte. */
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { Tap } from '../src/inspect/probe/tap.ts';
import { createPki } from '../test/support/pki.ts';

export async function recordedHandshake(
  version: 'TLSv1.2' | 'TLSv1.3',
): Promise<{ readonly client: Buffer; readonly server: Buffer }> {
  const root = await (await createPki()).root({ subject: [{ C: ['DE'] }, { O: ['Größe'] }, { CN: ['clients'] }] });
  const leaf = await root.issue({ cn: 'localhost' });
  const server = tls.createServer({
    key: leaf.keyPem,
    cert: leaf.chainPem,
    ca: root.certPem,
    requestCert: true,
    rejectUnauthorized: false,
    maxVersion: version,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  const tap = new Tap(socket);
  const client = tls.connect({
    socket: tap,
    servername: 'a.example',
    ALPNProtocols: ['h2', 'http/1.1'],
    rejectUnauthorized: false,
  });
  await once(client, 'secureConnect');
  const bytes = { client: tap.sent, server: tap.received };
  client.destroy();
  server.close();
  return bytes;
}
