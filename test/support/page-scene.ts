/** A daemon with something of everything that the page shows, on usual ports: content that stays the same from run to run. */
import { readFileSync } from 'node:fs';
import { ProxyAgent, request } from 'undici';
import { curl, through } from './curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from './daemon.ts';
import { nodeOrigin } from './origins.ts';
import { ago, ahead, createPki, DAY } from './pki.ts';

export interface Scene {
  readonly daemon: RunningDaemon;
  close(): Promise<void>;
}

export async function openScene(): Promise<Scene> {
  const files = temporaryDirectory();
  const pki = await createPki();
  const root = await pki.root({
    subject: 'O=Partner, CN=Partner Root CA',
    notBefore: ago(400 * DAY),
    notAfter: ahead(3000 * DAY),
  });
  const issuing = await root.intermediate({
    subject: 'O=Partner, CN=Partner Issuing CA 2',
    notBefore: ago(300 * DAY),
    notAfter: ahead(1400 * DAY),
  });
  const unknown = await pki.root({ subject: 'O=Test Lab, CN=Test Lab Root' });
  root.write(files, 'partner-root');
  const client = (cn: string, from: number, until: number) =>
    issuing.issue({
      subject: `O=Example, CN=${cn}`,
      sans: [],
      eku: ['clientAuth'],
      notBefore: ago(from * DAY),
      notAfter: ahead(until * DAY),
    });
  (await client('orders-service', 100, 265)).write(files, 'orders');
  (await client('alice', 80, 9)).write(files, 'alice');
  (await client('reporting', 400, -35)).write(files, 'reporting');
  (await client('fallback', 10, 355)).write(files, 'fallback');
  const server = await issuing.issue({
    cn: 'api.partner.example',
    sans: ['api.partner.example', 'files.partner.example', 'status.example'],
  });
  const dev = await unknown.issue({ cn: 'dev.lab.example' });
  const demanding = await nodeOrigin(
    { key: server.keyPem, cert: server.chainPem, ca: root.certPem, requestCert: true, rejectUnauthorized: true },
    (incoming, response) => {
      incoming.resume();
      response.statusCode = incoming.url?.startsWith('/v1/missing') ? 404 : incoming.method === 'POST' ? 201 : 200;
      response.end('x'.repeat(1200));
    },
  );
  const plain = await nodeOrigin({ key: server.keyPem, cert: server.chainPem });
  const lab = await nodeOrigin({ key: dev.keyPem, cert: dev.chainPem + unknown.certPem });
  const daemon = await startDaemon({
    store: `version: 1
certificates:
  - { name: orders, host: api.partner.example, cert: ${files}/orders-chain.crt, key: ${files}/orders.key }
  - { name: partner-fallback, host: "*.partner.example", port: "*", cert: ${files}/fallback-chain.crt, key: ${files}/fallback.key }
  - { name: alice, host: "*.corp.example", port: "*", cert: ${files}/alice-chain.crt, key: ${files}/alice.key, profile: alice }
  - { name: reporting, host: reports.corp.example, port: 8443, cert: ${files}/reporting-chain.crt, key: ${files}/reporting.key }
  - { name: old-billing, host: billing.example, cert: ${files}/gone.crt, key: ${files}/gone.key }
  - { name: spare, host: api.partner.example, cert: ${files}/fallback-chain.crt, key: ${files}/fallback.key, enabled: false }
trust: { system: true, ca: [${files}/partner-root.crt] }
verification:
  rules:
    - { host: staging.corp.example, mode: report }
    - { host: "*.old.example", port: "*", allow: [CERT_HAS_EXPIRED], min_version: TLSv1.2 }
interception:
  passthrough: ["*.pinned.example", "bank.example:443"]
`,
    settings: `connect_to:
  api.partner.example:443: 127.0.0.1:${demanding.port}
  files.partner.example:443: 127.0.0.1:${demanding.port}
  required.example:443: 127.0.0.1:${demanding.port}
  status.example:443: 127.0.0.1:${plain.port}
  dev.lab.example:443: 127.0.0.1:${lab.port}
`,
  });
  const ask = (url: string, ...args: string[]) => curl(`https://${url}`, [...through(daemon), ...args]);
  for (let page = 1; page <= 12; page++) await ask(`api.partner.example/v1/orders?page=${page}`);
  await ask('api.partner.example/v1/orders', '--data', 'an order');
  await ask('api.partner.example/v1/missing/4711');
  await ask('files.partner.example/upload/report-2026-11.pdf', '-X', 'PUT', '--data', 'a report');
  await ask('status.example/healthz');
  await ask('billing.example/v2/invoices');
  await ask('api.partner.example/v1/customers/8d7f3c1a-5b0e-4a57-9b1e-2f6c7f0f6a11/addresses/shipping/default');
  await ask('required.example/', '-H', 'Mtlsd-Verification: report');
  await ask('dev.lab.example/build/status');
  return {
    daemon,
    async close() {
      await daemon.stop();
      await Promise.all([demanding.close(), plain.close(), lab.close()]);
    },
  };
}

export interface Load {
  /** Sends so many requests, `atOnce` side by side; resolves with the milliseconds that each took. */
  send(count: number, atOnce?: number): Promise<number[]>;
  close(): Promise<void>;
}

/** Requests on kept-alive tunnels, as fast as they are answered. */
export async function openLoad({ proxy, caFile }: RunningDaemon, url: string): Promise<Load> {
  const agent = new ProxyAgent({ uri: proxy, requestTls: { ca: readFileSync(caFile, 'utf8') }, connections: 16 });
  let sent = 0;
  const one = async (): Promise<number> => {
    const started = performance.now();
    const { body } = await request(`${url}/load/${++sent}`, { dispatcher: agent });
    await body.dump();
    return performance.now() - started;
  };
  return {
    async send(count, atOnce = 16) {
      const times: number[] = [];
      let left = count;
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          while (left-- > 0) times.push(await one());
        }),
      );
      return times;
    },
    close: () => agent.close(),
  };
}
