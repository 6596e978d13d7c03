import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { leafCache } from '../../../../src/certs/local-ca/leaf-cache.ts';
import { openLocalCa } from '../../../../src/certs/local-ca/local-ca.ts';
import type { Signer } from '../../../../src/certs/local-ca/signer.ts';
import { parseAuthority } from '../../../../src/core/authority.ts';
import { intercept } from '../../../../src/proxy/client/intercept.ts';

let home: string;
let ca: Signer;
let server: Server;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'mtlsd-intercept-'));
  ca = (await openLocalCa(join(home, 'ca'))).current.signer;
});
afterAll(() => {
  server.close();
  rmSync(home, { recursive: true });
});

/** The name on the leaf, once a line went both ways. */
function ask(host: string, session?: Buffer): Promise<{ subject: string; session: Buffer | undefined }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ subject: string; session: Buffer | undefined }>();
  let ticket: Buffer | undefined;
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: host,
    ca: ca.certificate.toString(),
    ...(session && { session }),
  });
  socket.on('session', (given: Buffer) => (ticket = given));
  socket.on('secureConnect', () => socket.write(`${host}\n`));
  socket.on('data', (bytes) => {
    expect(bytes.toString()).toBe(`${host}\n`);
    resolve({ subject: socket.getPeerCertificate().subject.CN as string, session: ticket });
    socket.destroy();
  });
  socket.on('error', reject);
  return promise;
}

test('handshakes and resumptions go on when the cache closes the context that they began with', async () => {
  const leaves = leafCache(() => ca, { max: 1 });
  let hosts: string[] = [];
  server = createServer((socket) => {
    const interception = { contextFor: leaves.contextFor, handshakeTimeoutMs: 10_000, onKeylog: null };
    intercept(interception, socket, parseAuthority(`${hosts.shift()}:443`)).then(
      (inner) => inner.pipe(inner),
      () => socket.destroy(),
    );
    // Every handshake runs with a context that is closed already.
    leaves.contextFor('another.example');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const names = Array.from({ length: 20 }, (_, i) => `host-${i}.example`);
  const sessions = new Map<string, Buffer | undefined>();
  for (let pass = 0; pass < 2; pass++)
    for (const name of names) {
      hosts = [name];
      const { subject, session } = await ask(name, sessions.get(name));
      expect(subject).toBe(name);
      sessions.set(name, session);
    }
  expect(leaves.size).toBe(1);
});
