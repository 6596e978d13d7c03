/** `withhold_unverified: true`: the certificate is shown to a server only after that server was verified without it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { ask, toldOf } from '../support/exchange.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki, type Issued } from '../support/pki.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
/** A server that asks and takes what comes, and one that ends the handshake without a certificate of its CA. */
const KINDS = { asking: false, strict: true } as const;

describe('withhold_unverified', () => {
  const dir = temporaryDirectory();
  const origins = new Map<string, Origin>();
  /** Common names of client certificates that came to a server, in a handshake that it finished. */
  const shown: string[] = [];
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root({ cn: 'root' });
    const other = await pki.root({ cn: 'other' });
    root.write(dir, 'root');
    const servers: Record<string, Issued> = { good: await root.issue(), bad: await other.issue() };
    (await root.issue({ cn: 'careful', eku: ['clientAuth'] })).write(dir, 'careful');
    const entries: string[] = [];
    for (const version of VERSIONS)
      for (const [kind, rejectUnauthorized] of Object.entries(KINDS))
        for (const [name, { keyPem, certPem }] of Object.entries(servers)) {
          const origin = await nodeOrigin({
            key: keyPem,
            cert: certPem,
            ca: root.certPem,
            requestCert: true,
            rejectUnauthorized,
            minVersion: version,
            maxVersion: version,
          });
          origin.server.on('secureConnection', (socket) => {
            const peer = socket.getPeerX509Certificate();
            if (peer) shown.push(`${name} ${peer.subject}`);
          });
          origins.set(`${name} ${kind} ${version}`, origin);
          entries.push(
            `  - { name: careful-${origin.port}, host: localhost, port: ${origin.port}, cert: ${dir}/careful.crt, key: ${dir}/careful.key, withhold_unverified: true }`,
          );
        }
    daemon = await startDaemon({
      store: `version: 1\ncertificates:\n${entries.join('\n')}\ntrust: { system: false, ca: [${dir}/root.crt] }\n`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...[...origins.values()].map((origin) => origin.close())]);
  });

  const sent = async (origin: Origin, path: string, headers: Record<string, string> = {}) => {
    const answer = await ask(daemon, `localhost:${origin.port}`, { method: 'POST', path, body: 'payload', headers });
    return { answer, ...(await toldOf(daemon, path)) };
  };
  const report = { 'mtlsd-verification': 'report' };

  describe.each(VERSIONS)('on %s', (version) => {
    describe.each(['asking', 'strict'] as const)('a server that is %s', (kind) => {
      test('is shown it where it is verified', async () => {
        const origin = origins.get(`good ${kind} ${version}`) as Origin;
        const { answer, connection } = await sent(origin, `/good/${kind}/${version}`);
        expect(answer.status).toBe(200);
        expect(JSON.parse(answer.body) as Seen).toMatchObject({ client: 'careful', resumed: false });
        expect(connection).toMatchObject({
          event: 'tls.connected',
          verification: { authorized: true },
          client_certificate: { requested: true, sent: true, outcome: 'sent', name: `careful-${origin.port}` },
        });
      });

      test('is not shown it in enforce where it is not verified, and gets nothing', async () => {
        const origin = origins.get(`bad ${kind} ${version}`) as Origin;
        const { answer, connection } = await sent(origin, `/enforce/${kind}/${version}`);
        expect(answer.status).toBe(502);
        expect(answer.headers['proxy-status']).toContain('SERVER_CERTIFICATE_REJECTED');
        expect(answer.body).toContain(`certificate: careful-${origin.port} was withheld`);
        expect(connection).toMatchObject({
          event: 'tls.failed',
          server: { chain: [{ issuer: 'CN=other' }] },
          verification: { authorized: false, problems: [{ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }] },
          client_certificate: { sent: false, outcome: 'withheld' },
        });
        expect(origin.seen).toEqual([]);
      });
    });

    test('in report, a server that asks gets the request without it', async () => {
      const origin = origins.get(`bad asking ${version}`) as Origin;
      const { answer, connection } = await sent(origin, `/report/asking/${version}`, report);
      expect(JSON.parse(answer.body) as Seen).toMatchObject({ client: null });
      expect(connection).toMatchObject({
        event: 'tls.connected',
        verification: { mode: 'report', authorized: false },
        client_certificate: { requested: true, sent: false, outcome: 'withheld', name: `careful-${origin.port}` },
      });
    });

    test('in report, a server that requires one gets none, and the record says why', async () => {
      const origin = origins.get(`bad strict ${version}`) as Origin;
      const { answer, exchange, connection } = await sent(origin, `/report/strict/${version}`, report);
      expect(answer.status).toBe(502);
      expect(exchange.error).toMatchObject({
        code: 'CLIENT_CERTIFICATE_REQUIRED',
        message: expect.stringMatching(/careful-\d+ was withheld, as the server is not verified$/) as string,
        hint: expect.stringContaining('withhold_unverified: false') as string,
      });
      expect(answer.body).toContain('problem:     UNABLE_TO_VERIFY_LEAF_SIGNATURE');
      expect(connection?.client_certificate).toMatchObject({ sent: false, outcome: 'withheld' });
      expect(origin.seen).toEqual([]);
    });
  });

  test('a request that goes on finds the connection that was made for it', async () => {
    const origin = origins.get('good strict TLSv1.3') as Origin;
    const before = origin.connections();
    expect((await sent(origin, '/pooled')).exchange.reused).toBe(true);
    expect(origin.connections()).toBe(before);
  });

  test('no server that failed verification has ever seen it', () => {
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.filter((line) => line.startsWith('bad'))).toEqual([]);
  });
});
