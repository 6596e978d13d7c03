/**
 * What it costs to wait for a server's word on our certificate, at 50 ms a round trip. Round trips are counted on the way,
 * so that no busy machine can make the count another.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DelayRelay, delayRelay } from '../support/delay-relay.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, toldOf } from '../support/exchange.ts';
import { nodeOrigin, opensslOrigin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

describe('settling', () => {
  const dir = temporaryDirectory();
  const closing: (() => Promise<unknown>)[] = [];
  const relays = new Map<string, DelayRelay>();
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(dir, 'root');
    const server = await root.issue();
    server.write(dir, 'server');
    (await root.issue({ cn: 'client', eku: ['clientAuth'] })).write(dir, 'client');
    const tls = { key: server.keyPem, cert: server.certPem, ca: root.certPem };
    const reach = async (name: string, port: number): Promise<void> => {
      const relay = await delayRelay(port, 25);
      relays.set(name, relay);
      closing.push(() => relay.close());
    };
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
      for (const requestCert of [false, true]) {
        const versions = { minVersion: version, maxVersion: version };
        const origin = await nodeOrigin({ ...tls, ...versions, requestCert, rejectUnauthorized: requestCert });
        closing.push(() => origin.close());
        await reach(`${version} ${requestCert ? 'asks' : 'does not ask'}`, origin.port);
      }
    writeFileSync(`${dir}/index`, 'from a file\n');
    const silent = await opensslOrigin(
      [
        ['-cert', `${dir}/server.crt`, '-key', `${dir}/server.key`, '-CAfile', `${dir}/root.crt`],
        ['-Verify', '2', '-verify_return_error', '-tls1_3', '-num_tickets', '0', '-www'],
      ].flat(),
    );
    closing.push(() => silent.close());
    await reach('no tickets', silent.port);
    const entry = (port: number): string =>
      `  - { host: localhost, port: ${port}, cert: ${dir}/client.crt, key: ${dir}/client.key }`;
    daemon = await startDaemon({
      store: `version: 1
certificates:
${[...relays.values()].map(({ port }) => entry(port)).join('\n')}
trust: { system: false, ca: [${dir}/root.crt] }
`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...closing.map((close) => close())]);
  });

  const sent = async (name: string, path: string) => {
    const relay = relays.get(name) as DelayRelay;
    const { status } = await ask(daemon, `localhost:${relay.port}`, { path });
    const told = await toldOf(daemon, path);
    return { status, ...told, roundTrips: relay.roundTrips() };
  };

  // In TLS 1.3 one for the handshake and one for the request, which may be repeated and is written before the server's word on
  // the certificate; in 1.2 one more for the handshake.
  test.each([
    ['TLSv1.3 does not ask', 2],
    ['TLSv1.3 asks', 2],
    ['TLSv1.2 does not ask', 3],
    ['TLSv1.2 asks', 3],
  ])('%s: %i round trips on a new connection, and one on a pooled one', async (name, expected) => {
    const path = `/${name.replaceAll(/[ .]/g, '-')}`;
    const first = await sent(name, `${path}/new`);
    expect(first.status).toBe(200);
    expect(first.exchange.reused).toBe(false);
    expect(first.roundTrips).toBe(expected);

    const again = await sent(name, `${path}/pooled`);
    expect(again.exchange).toMatchObject({ reused: true, ms: { connect: 0, tls: 0 } });
    expect(again.roundTrips).toBe(1);
  });

  test('the record has the time: none if the server did not ask, and less than the longest wait if it did', async () => {
    const timesOf = async (name: string) =>
      (await sent(name, `/record/${name.replaceAll(/[ .]/g, '-')}`)).connection?.ms ?? { tls: 0, settle: -1 };
    expect((await timesOf('TLSv1.3 does not ask')).settle).toBe(0);
    expect((await timesOf('TLSv1.2 asks')).settle).toBe(0);
    const { tls, settle } = await timesOf('TLSv1.3 asks');
    expect(settle).toBeGreaterThan(40);
    expect(settle).toBeLessThan(2 * tls + 50); // what it takes where a server says nothing
  });

  test('a server that sends no ticket costs a wait, no round trip, and nothing else', async () => {
    const { status, roundTrips, connection } = await sent('no tickets', '/index');
    expect(status).toBe(200);
    expect(roundTrips).toBe(2);
    expect(connection?.client_certificate).toMatchObject({ requested: true, sent: true });
  });
});
