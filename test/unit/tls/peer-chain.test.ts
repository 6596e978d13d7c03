import { createServer, connect as connectTls, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { chainReader } from '../../../src/tls/peer-chain.ts';
import { createPki, type Issued } from '../../support/pki.ts';

async function showing<T>(served: Issued, version: 'TLSv1.2' | 'TLSv1.3', look: (socket: TLSSocket) => T): Promise<T> {
  const server = createServer(
    { key: served.keyPem, cert: served.chainPem, minVersion: version, maxVersion: version },
    (socket) => socket.on('error', () => {}),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await new Promise((resolve) => socket.on('secureConnect', resolve));
  const seen = look(socket);
  socket.destroy();
  server.close();
  return seen;
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('on %s', (version) => {
  test('a chain with the same leaf and verdict is read once in ten minutes, a refused one once in one', async () => {
    const root = await (await createPki()).root();
    const below = await root.intermediate({ cn: 'below' });
    const first = await below.issue({ cn: 'first' });
    const second = await below.issue({ cn: 'second' });
    let now = 0;
    const reader = chainReader(() => now);
    const names = (served: Issued, opensslError: string | null, place = 'a:443', again = false) =>
      showing(served, version, (socket) => {
        let read = 0;
        const original = socket.getPeerX509Certificate.bind(socket);
        socket.getPeerX509Certificate = () => {
          read += 1;
          return original();
        };
        return { chain: reader.read(socket, place, opensslError, again).map(({ subject }) => subject), read };
      });
    const untrusted = 'SELF_SIGNED_CERT_IN_CHAIN';
    expect(await names(first, null)).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    expect(await names(first, null)).toEqual({ chain: ['CN=first', 'CN=below'], read: 0 });
    expect(await names(first, null, 'a:443', true)).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    expect(await names(first, untrusted)).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    expect(await names(first, untrusted)).toEqual({ chain: ['CN=first', 'CN=below'], read: 0 });
    expect(await names(first, 'CERT_HAS_EXPIRED')).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    expect(await names(second, null)).toEqual({ chain: ['CN=second', 'CN=below'], read: 1 });
    expect(await names(first, null, 'b:443')).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    now = 2 * 60_000;
    expect(await names(first, untrusted)).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
    expect(await names(first, null)).toEqual({ chain: ['CN=first', 'CN=below'], read: 0 });
    now = 11 * 60_000;
    expect(await names(first, null)).toEqual({ chain: ['CN=first', 'CN=below'], read: 1 });
  });
});
