/** The main job on one line: a daemon, an origin that demands a client certificate, and a request between them. */
import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Command } from 'commander';
import { ProxyAgent, request } from 'undici';
import { issuerOf, mint } from '../../certs/local-ca/mint.ts';
import { certificateFacts } from '../../core/facts.ts';
import { createLog } from '../../core/log.ts';
import { type Daemon, startDaemon } from '../../daemon.ts';
import type { ConnectionRecord, ExchangeRecord } from '../../inspect/records/types.ts';
import { loadSettings } from '../../settings/load.ts';
import { installLastResort } from '../last-resort.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Starts a daemon and an origin that demands a client certificate, makes the certificate, and sends a request through. Both stay until Ctrl-C; nothing is left behind.',
    )
    .addHelpText('after', '\nExample:\n  mtlsd demo')
    .action(async () => {
      const home = await mkdtemp(join(tmpdir(), 'mtlsd-demo-'));
      const { origin, url } = await prepare(home);
      const settings = await loadSettings({ home, listen: ['127.0.0.1:0'], admin: '127.0.0.1:0' }, {});
      const destination = openSync(join(home, 'mtlsd.log'), 'a', 0o600);
      const log = createLog({ level: 'info', format: 'json', destination });
      const isRunning = installLastResort(log);
      const daemon = await startDaemon(settings, log);
      isRunning(daemon);
      const stop = async (): Promise<void> => {
        origin.closeAllConnections();
        origin.close();
        await daemon.stop('demo ended');
        await rm(home, { recursive: true, force: true });
        process.exit(0);
      };
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
      process.stdout.write(await tell(daemon, url));
    });
}

/** Certificates of three parties, the store that names them, and the origin. */
async function prepare(home: string) {
  const root = party('mtlsd demo CA');
  const issuer = issuerOf(root.certificate, root.key);
  const server = party('localhost', { issuer, hosts: ['localhost', '127.0.0.1', '::1'], purposes: ['serverAuth'] });
  const client = party('demo-client', { issuer, purposes: ['clientAuth'] });
  const origin = createServer(
    {
      key: pem(server.key),
      cert: server.certificate.toString(),
      ca: root.certificate.toString(),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (incoming, response) => {
      const peer = (incoming.socket as TLSSocket).getPeerX509Certificate();
      response.setHeader('Content-Type', 'application/json');
      response.end(
        `${JSON.stringify({ message: 'hello', client_certificate: peer && certificateFacts(peer) }, null, 2)}\n`,
      );
    },
  );
  await new Promise<void>((resolve) => origin.listen(0, 'localhost', resolve));
  const { port } = origin.address() as AddressInfo;
  await mkdir(join(home, 'certs'), { mode: 0o700 });
  await writeFile(join(home, 'certs/demo-ca.pem'), root.certificate.toString());
  await writeFile(join(home, 'certs/demo-client.crt'), client.certificate.toString());
  await writeFile(join(home, 'certs/demo-client.key'), pem(client.key), { mode: 0o600 });
  await writeFile(
    join(home, 'certificates.yaml'),
    `version: 1
certificates:
  - name: demo-client
    host: localhost
    port: ${port}
    cert: certs/demo-client.crt
    key: certs/demo-client.key
trust:
  ca: [certs/demo-ca.pem]
`,
    { mode: 0o600 },
  );
  return { origin, url: `https://localhost:${port}/` };
}

interface Party {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

function party(
  commonName: string,
  options: Pick<Parameters<typeof mint>[0], 'issuer' | 'hosts' | 'purposes'> = {},
): Party {
  const { publicKey, privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const now = Date.now();
  const certificate = mint({
    subject: { commonName },
    publicKey,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + 30 * 86_400_000),
    ...options,
    ...(!options.issuer && { key, ca: { pathLength: 0 } }),
  });
  return { certificate, key };
}

const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Sends the request, and returns what both sides and the daemon recorded. */
async function tell({ proxy: [proxy], admin, home }: Daemon, url: string): Promise<string> {
  const ca = join(home, 'ca/ca.pem');
  const agent = new ProxyAgent({ uri: `http://${proxy}`, requestTls: { ca: await readFile(ca, 'utf8') } });
  const response = await request(url, { dispatcher: agent });
  const seen = (await response.body.json()) as { client_certificate: ReturnType<typeof certificateFacts> | null };
  await agent.close();
  const token = (await readFile(join(home, 'admin.token'), 'utf8')).trim();
  const ask = async (path: string): Promise<unknown> =>
    (await request(`${admin}${path}`, { headers: { authorization: `Bearer ${token}` } })).body.json();
  const { exchanges } = (await ask('/api/v1/exchanges')) as { exchanges: ExchangeRecord[] };
  const exchange = exchanges[0];
  const connection = (await ask(`/api/v1/connections/${exchange?.connection}`)) as ConnectionRecord;
  const [server] = connection.server.chain;
  const curl = `curl --noproxy '' --proxy http://${proxy} --cacert ${ca}`;
  return `mtlsd demo
  daemon    http://${proxy}, admin API ${admin}
  origin    ${url}, which demands a client certificate
  home      ${home}
  page      ${admin}/ (mtlsd ui --home ${home} opens it, signed in)

GET ${url} through the daemon: ${response.statusCode} in ${exchange?.ms.total} ms
  the origin saw    ${seen.client_certificate ? `${seen.client_certificate.subject}, issued by ${seen.client_certificate.issuer}` : 'no client certificate'}
                    SHA-256 ${seen.client_certificate?.fingerprint256 ?? '-'}
  the daemon sent   ${connection.client_certificate.name} (${connection.client_certificate.reason})
  the origin's own  ${server?.subject}, issued by ${server?.issuer}, ${server?.key}, valid until ${server?.not_after}
                    ${connection.verification.authorized ? 'verified' : `not verified: ${connection.verification.problems.map(({ code }) => code).join(', ')}`}, ${connection.tls?.protocol}, ${connection.tls?.cipher}

Both are still running. The same with curl, and then without the certificate:
  ${curl} ${url}
  ${curl} -H 'Mtlsd-Certificate: none' ${url}

Log: ${join(home, 'mtlsd.log')}. Ctrl-C stops both and removes ${home}.
`;
}
