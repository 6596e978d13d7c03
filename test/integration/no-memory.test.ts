/**
 * Nothing is verified or presented from memory. What a resumed TLS session would skip (its client certificate, its trust,
 * its name and its pins are those of the session's first handshake) and what a pooled connection would, is asked here one
 * by one, each with a connection alive that was made before the change.
 */
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Answer, ask, type Ask, askH2, toldOf } from '../support/exchange.ts';
import { h2Origin } from '../support/h2-origin.ts';
import { nodeOrigin, type Seen } from '../support/origins.ts';
import { type Authority, createPki, type Issued } from '../support/pki.ts';

type Version = 'TLSv1.2' | 'TLSv1.3';

/** Either origin, as far as it matters here. */
interface Observed {
  readonly port: number;
  readonly connections: () => number;
  readonly requests: () => number;
  close(): Promise<void>;
}

const PROTOCOLS = {
  'HTTP/1.1': {
    send: ask,
    serve: async (options: object): Promise<Observed> => {
      const origin = await nodeOrigin(options);
      return { ...origin, requests: () => origin.seen.length, close: () => origin.close() };
    },
  },
  'HTTP/2': {
    send: askH2,
    serve: async (options: object): Promise<Observed> => {
      const origin = await h2Origin(options);
      const [connections, requests] = [() => origin.sessions(), () => origin.seen.length];
      return { port: origin.port, connections, requests, close: () => origin.close() };
    },
  },
} as const;

const REPORT = { headers: { 'mtlsd-verification': 'report' } };

describe('nothing comes from memory', () => {
  const dir = temporaryDirectory();
  const servers: Record<string, Issued> = {};
  const origins: Observed[] = [];
  let root: Authority;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const pki = await createPki();
    root = await pki.root({ cn: 'root' });
    root.write(dir, 'root');
    (await pki.root({ cn: 'other' })).write(dir, 'other');
    for (const name of ['first', 'second']) (await root.issue({ cn: name, eku: ['clientAuth'] })).write(dir, name);
    servers.good = await root.issue();
    servers.misnamed = await root.issue({ cn: 'elsewhere.example' });
    daemon = await startDaemon({ store: 'version: 1\n' });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...origins.map((origin) => origin.close())]);
  });

  const entry = (port: number, name: string): string =>
    `certificates: [{ name: ${name}, host: localhost, port: ${port}, cert: ${dir}/${name}.crt, key: ${dir}/${name}.key }]\n`;
  const trust = (name: string): string => `trust: { system: false, ca: [${dir}/${name}.crt] }\n`;
  const rule = (port: number, more: string): string =>
    `verification: { rules: [{ host: localhost, port: ${port}, ${more} }] }\n`;
  const inForce = (...parts: string[]) => daemon.replaceStore(`version: 1\n# ${Math.random()}\n${parts.join('')}`);
  const clientIn = ({ body }: Answer): unknown => (JSON.parse(body) as { client: unknown }).client;

  describe.each(Object.entries(PROTOCOLS))('over %s', (protocol, { send, serve }) => {
    describe.each(['TLSv1.2', 'TLSv1.3'] as const)('on %s', (version: Version) => {
      const started = async (server: string): Promise<Observed> => {
        const { keyPem, chainPem } = servers[server] as Issued;
        const origin = await serve({
          key: keyPem,
          cert: chainPem,
          ca: root.certPem,
          requestCert: true,
          rejectUnauthorized: false,
          minVersion: version,
          maxVersion: version,
        });
        origins.push(origin);
        return origin;
      };
      let count = 0;
      const sent = async (origin: Observed, more: Ask = {}) => {
        const path = `/${protocol}/${version}/${count++}`.replaceAll('.', '-');
        const answer = await send(daemon, `localhost:${origin.port}`, { path, ...more });
        return { answer, ...(await toldOf(daemon, path)) };
      };
      /** Two requests on one connection, which then stays. */
      const pooled = async (origin: Observed) => {
        const before = origin.connections();
        const { answer } = await sent(origin);
        expect(answer.status).toBe(200);
        const again = await sent(origin);
        expect(again.exchange.reused).toBe(true);
        expect(origin.connections()).toBe(before + 1);
        return answer;
      };
      const refusedFor = async (origin: Observed): Promise<string[]> => {
        const requests = origin.requests();
        const { answer, exchange, connection } = await sent(origin);
        expect(answer.status).toBe(502);
        expect(exchange).toMatchObject({ reused: false, error: { code: 'SERVER_CERTIFICATE_REJECTED' } });
        expect(connection?.server.chain.length).toBeGreaterThan(0);
        expect(origin.requests()).toBe(requests);
        return connection?.verification.problems.map(({ code }) => code) ?? [];
      };

      test('another client certificate in the store: the server sees the new one', async () => {
        const origin = await started('good');
        await inForce(entry(origin.port, 'first'), trust('root'));
        expect(clientIn(await pooled(origin))).toBe('first');
        await inForce(entry(origin.port, 'second'), trust('root'));
        const { answer, exchange } = await sent(origin);
        expect(clientIn(answer)).toBe('second');
        expect(exchange).toMatchObject({ reused: false, certificate: 'second' });
      });

      test('the client certificate taken out of the store: the server sees none', async () => {
        const origin = await started('good');
        await inForce(entry(origin.port, 'first'), trust('root'));
        expect(clientIn(await pooled(origin))).toBe('first');
        await inForce(trust('root'));
        const { answer, connection } = await sent(origin);
        expect(clientIn(answer)).toBeNull();
        expect(connection?.client_certificate).toMatchObject({ sent: false, outcome: 'none_configured' });
      });

      test('a client certificate named by the request: that one, and the next request has its own again', async () => {
        const origin = await started('good');
        await inForce(entry(origin.port, 'first'), trust('root'));
        expect(clientIn(await pooled(origin))).toBe('first');
        expect(clientIn((await sent(origin, { headers: { 'mtlsd-certificate': 'none' } })).answer)).toBeNull();
        expect(clientIn((await sent(origin)).answer)).toBe('first');
      });

      test('another trust: refused', async () => {
        const origin = await started('good');
        await inForce(trust('root'));
        await pooled(origin);
        await inForce(trust('other'));
        expect(await refusedFor(origin)).toEqual(['SELF_SIGNED_CERT_IN_CHAIN']);
      });

      test('the name is checked now: refused', async () => {
        const origin = await started('misnamed');
        await inForce(trust('root'), rule(origin.port, 'allow: [HOSTNAME_MISMATCH]'));
        await pooled(origin);
        await inForce(trust('root'));
        expect(await refusedFor(origin)).toEqual(['HOSTNAME_MISMATCH']);
      });

      test('another name to check: refused', async () => {
        const origin = await started('good');
        await inForce(trust('root'));
        await pooled(origin);
        await inForce(trust('root'), rule(origin.port, 'server_name: other.example'));
        expect(await refusedFor(origin)).toEqual(['HOSTNAME_MISMATCH']);
      });

      test('a pin is added: refused', async () => {
        const origin = await started('good');
        await inForce(trust('root'));
        await pooled(origin);
        await inForce(trust('root'), rule(origin.port, `pins: ["sha256/${'A'.repeat(43)}="]`));
        expect(await refusedFor(origin)).toEqual(['PIN_MISMATCH']);
      });

      test('report becomes enforce: refused', async () => {
        const origin = await started('misnamed');
        await inForce(trust('root'), rule(origin.port, 'mode: report'));
        await pooled(origin);
        await inForce(trust('root'), rule(origin.port, 'mode: enforce'));
        expect(await refusedFor(origin)).toEqual(['HOSTNAME_MISMATCH']);
      });

      test('a request in report leaves nothing for one in enforce', async () => {
        const origin = await started('misnamed');
        await inForce(trust('root'));
        await sent(origin, REPORT);
        expect((await sent(origin, REPORT)).exchange.reused).toBe(true);
        expect(await refusedFor(origin)).toEqual(['HOSTNAME_MISMATCH']);
        const { exchange } = await sent(origin, REPORT);
        expect(exchange).toMatchObject({ reused: true, authorized: false });
      });

      test('what did not change keeps its connection', async () => {
        const origin = await started('good');
        await inForce(entry(origin.port, 'first'), trust('root'));
        await pooled(origin);
        await inForce(entry(origin.port, 'first'), trust('root'), rule(origin.port + 1, 'mode: report'));
        expect((await sent(origin)).exchange.reused).toBe(true);
      });
    });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'sessions that the server offers are never resumed, on %s',
    async (version) => {
      const { keyPem, chainPem } = servers.good as Issued;
      const origin = await nodeOrigin(
        {
          key: keyPem,
          cert: chainPem,
          ca: root.certPem,
          requestCert: true,
          rejectUnauthorized: false,
          minVersion: version,
          maxVersion: version,
        },
        (_request, response, seen) => {
          response.setHeader('connection', 'close');
          response.end(JSON.stringify(seen));
        },
      );
      origins.push({ ...origin, requests: () => 0 });
      // The server does offer them, and a client that takes one up is not asked anything again.
      const session = await sessionOf(origin.port);
      expect(await isResumed(origin.port, session)).toBe(true);

      await inForce(entry(origin.port, 'first'), trust('root'));
      for (let count = 0; count < 3; count++) {
        const path = `/resumption/${version}/${count}`;
        const { body } = await ask(daemon, `localhost:${origin.port}`, { path });
        expect(JSON.parse(body) as Seen).toMatchObject({ resumed: false, client: 'first', protocol: version });
        const { exchange, connection } = await toldOf(daemon, path);
        expect(exchange.reused).toBe(false);
        expect(connection).toMatchObject({
          server: { chain: [{ subject: 'CN=localhost' }, { subject: 'CN=root' }] },
          verification: { authorized: true },
          client_certificate: { sent: true, name: 'first' },
        });
      }
    },
  );
});

function sessionOf(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('error', reject).once('session', (session: Buffer) => {
      resolve(session);
      socket.destroy();
    });
  });
}

function isResumed(port: number, session: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, session });
    socket.once('error', reject).once('secureConnect', () => {
      resolve(socket.isSessionReused());
      socket.destroy();
    });
  });
}
