/**
 * Short-lived certificates of an EST server and of a step-ca, renewed one after another under fifty clients: no request
 * fails, none is made with an expired certificate, and the origins see each new one.
 *
 * MTLSD_TEST_RENEWAL_SECONDS=600 has certificates of 60 s from EST and of 180 s from step-ca for ten minutes, which is what
 * docs/reliability.md has; two minutes with shorter ones show the same.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type EstServer, estServer } from '../support/est-server.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, ahead, type Authority, createPki } from '../support/pki.ts';
import { hasStepCa, type StepCa, stepCa } from '../support/step-ca.ts';
import { throughTunnel } from '../support/tunnel.ts';
import { answerTo, TunnelAgent } from '../support/tunnel-agent.ts';

const CLIENTS = 50;
const seconds = Number(process.env.MTLSD_TEST_RENEWAL_SECONDS ?? 120);
const long = seconds >= 300;
// step-ca begins a lifetime one minute early: of 75 s there are 15 to use.
const lifetimes = long ? { est: 60, step: 180 } : { est: 10, step: 75 };
const stepAfter = long ? '2/3' : '0.9';

/** An origin, and the certificates that it was shown, in their order. */
interface Watched {
  readonly origin: Origin;
  readonly shown: Map<string, X509Certificate>;
  expired: number;
}

async function watched(root: Authority, clients: Authority): Promise<Watched> {
  const server = await root.issue();
  const origin = await nodeOrigin({
    key: server.keyPem,
    cert: server.certPem,
    ca: [root.certPem, clients.certPem],
    requestCert: true,
    rejectUnauthorized: true,
  });
  const seen: Watched = { origin, shown: new Map(), expired: 0 };
  origin.server.on('secureConnection', (socket: TLSSocket) => {
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) return;
    seen.shown.set(certificate.fingerprint256, certificate);
    if (certificate.validToDate.getTime() < Date.now()) seen.expired++;
  });
  return seen;
}

describe.skipIf(!hasStepCa())('certificates that live for seconds', () => {
  const dir = temporaryDirectory();
  let est: EstServer;
  let ca: StepCa;
  let origins: { est: Watched; step: Watched };
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    const issuer = await root.intermediate();
    root.write(dir, 'root');
    est = await estServer({ root, lifetimeMs: lifetimes.est * 1000 });
    ca = await stepCa(root, issuer, `${lifetimes.step}s`);
    origins = { est: await watched(root, root), step: await watched(root, issuer) };
    const common = { freshKey: true, eku: ['clientAuth'] };
    const first = { cn: 'est', ...common, notBefore: ago(0), notAfter: ahead(lifetimes.est * 1000) };
    (await root.issue(first)).write(dir, 'est');
    const second = { cn: 'step', ...common, notBefore: ago(60_000), notAfter: ahead((lifetimes.step - 60) * 1000) };
    const step = (await issuer.issue(second)).write(dir, 'step');
    daemon = await startDaemon({
      settings: 'limits: { upstream_connections: 8 }\n',
      store: `version: 1
certificates:
  - name: est
    host: localhost
    port: ${origins.est.origin.port}
    cert: ${dir}/est.crt
    key: ${dir}/est.key
    renew: { est: "${est.url}" }
  - name: step
    host: localhost
    port: ${origins.step.origin.port}
    cert: ${step.chain}
    key: ${step.key}
    renew: { step: "${ca.url}", after: ${stepAfter} }
trust: { system: false, ca: [${dir}/root.crt] }
`,
    });
  }, 240_000);
  afterAll(async () => {
    await Promise.all([
      daemon.stop(),
      est.close(),
      ca.close(),
      origins.est.origin.close(),
      origins.step.origin.close(),
    ]);
  });

  test(
    `are renewed for ${seconds} s under ${CLIENTS} clients`,
    async () => {
      const until = performance.now() + seconds * 1000;
      const statuses = new Map<number | string, number>();
      const failures: string[] = [];
      const client = async (index: number): Promise<void> => {
        const { origin } = index % 2 === 0 ? origins.est : origins.step;
        const authority = `localhost:${origin.port}`;
        const agent = new TunnelAgent(() => throughTunnel(daemon, authority), index % 4 < 2);
        while (performance.now() < until) {
          try {
            const { status, body } = await answerTo(agent, authority);
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
            if (status !== 200) failures.push(body);
          } catch (error) {
            failures.push(String(error));
          }
        }
        agent.destroy();
      };
      await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));

      const renewals = (name: string): string[] =>
        daemon.log.flatMap((line) =>
          line.event === 'certificate.renewed' && line['name'] === name ? [String(line['fingerprint_after'])] : [],
        );
      const failed = daemon.log.filter(({ event }) => event === 'certificate.renewal_failed');
      const total = [...statuses.values()].reduce((sum, count) => sum + count, 0);
      process.stderr.write(
        `renewal under load: ${seconds} s, ${total} requests, ${failures.length} failed, ` +
          `${renewals('est').length} certificates of ${lifetimes.est} s from EST, ${renewals('step').length} of ${lifetimes.step} s from step-ca, ` +
          `${origins.est.expired + origins.step.expired} expired ones presented\n`,
      );
      expect(failures.slice(0, 3)).toEqual([]);
      expect([...statuses.keys()]).toEqual([200]);
      expect(failed).toEqual([]);
      expect([origins.est.expired, origins.step.expired]).toEqual([0, 0]);
      // All but the last, which may have come just before the end.
      for (const name of ['est', 'step'] as const) {
        const unseen = renewals(name)
          .slice(0, -1)
          .filter((fingerprint) => !origins[name].shown.has(fingerprint));
        expect(unseen).toEqual([]);
      }
      expect(renewals('est').length).toBeGreaterThanOrEqual(Math.floor(seconds / lifetimes.est));
      expect(renewals('step').length).toBeGreaterThanOrEqual(Math.floor(seconds / (lifetimes.step - 60)));
      expect(total).toBeGreaterThan(seconds * 20);
    },
    seconds * 1000 + 60_000,
  );
});
