/**
 * Three people's first tasks. Each types what the product's next steps say, and nothing that only the authors know: a tester with a
 * partner's PFX, an operator with 41 entries, a security engineer with a SIEM. A fourth is a program that knows the OpenAPI document.
 */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, type Authority, createPki, DAY, type Pki } from '../support/pki.ts';
import { openShell } from '../support/tour.ts';

let pki: Pki;
let partner: Authority;
let origin: Origin;

beforeAll(async () => {
  pki = await createPki();
  partner = await pki.root({ subject: 'O=Partner, CN=Partner Root CA' });
  const server = await partner.issue({
    cn: 'api.partner.example',
    sans: ['api.partner.example', ...Array.from({ length: 41 }, (_, at) => `team-${at}.partner.example`)],
    eku: ['serverAuth'],
  });
  origin = await nodeOrigin({
    key: server.keyPem,
    cert: server.chainPem + partner.certPem,
    ca: partner.certPem,
    requestCert: true,
    rejectUnauthorized: true,
  });
});
afterAll(() => origin.close());

const connectTo = (...hosts: string[]): string =>
  `connect_to:\n${hosts.map((host) => `  "${host}:443": "127.0.0.1:${origin.port}"\n`).join('')}`;

/** The first command after `next:`. */
function nextCommand(output: string): string {
  const command = /next: +[^\n]*?(mtlsd [^;\n]*)/.exec(output)?.[1];
  if (command === undefined) throw new Error(`no command after next: ${output}`);
  return command;
}

test('a tester with a partner’s PFX', async () => {
  const desk = temporaryDirectory();
  (await partner.issue({ subject: 'O=Partner, CN=alice', sans: [], eku: ['clientAuth'] })).write(desk, 'alice');
  execFileSync(
    'openssl',
    'pkcs12 -export -in alice.crt -inkey alice.key -out partner.p12 -passout'.split(' ').concat('pass:open sesame'),
    { cwd: desk },
  );
  writeFileSync(join(desk, 'wrong.pass'), 'open barley\n', { mode: 0o600 });
  writeFileSync(join(desk, 'right.pass'), 'open sesame\n', { mode: 0o600 });
  const daemon = await startDaemon({
    settings: connectTo('api.partner.example'),
    secrets: ['open sesame', 'open barley'],
  });
  const type = openShell(desk, daemon.home);
  const request = () => type('mtlsd run -- curl -sS https://api.partner.example/orders');

  // The server's CA is unknown: the first next step trusts it.
  const untrusted = await request();
  expect(untrusted.output).toContain('SERVER_CERTIFICATE_REJECTED');
  expect(await type(nextCommand(untrusted.output))).toMatchObject({ code: 0 });

  // It requires a client certificate. The tester puts the PFX where the command says FILE.
  const required = await request();
  expect(required.output).toContain('CLIENT_CERTIFICATE_REQUIRED');
  const wrongOption = await type(nextCommand(required.output).replaceAll('FILE', 'partner.p12'));
  expect(wrongOption).toMatchObject({ code: 1, output: expect.stringContaining('--pfx') });
  const add = nextCommand(wrongOption.output).replace('HOST', 'api.partner.example');
  expect(await type(add)).toMatchObject({ code: 1, output: expect.stringContaining('passphrase') });
  const wrong = await type(`${add} --passphrase-file wrong.pass`);
  expect(wrong).toMatchObject({ code: 1, output: expect.stringContaining('the passphrase does not open') });
  expect(await type(`${add} --passphrase-file right.pass`)).toMatchObject({ code: 0 });

  expect(JSON.parse((await request()).output)).toMatchObject({ client: 'alice' });
  expect((await type('mtlsd tail --no-follow -n 1')).output).toMatch(/200 .* api\.partner\.example/);
  await daemon.stop();
});

test('an operator with 41 entries and rotating files', async () => {
  const desk = temporaryDirectory();
  const hosts = Array.from({ length: 41 }, (_, at) => `team-${at}.partner.example`);
  mkdirSync(join(desk, 'certs'));
  writeFileSync(join(desk, 'partner-root.pem'), partner.certPem);
  const rotate = async (at: number, cn: string, folder = 'certs') =>
    (await partner.issue({ cn, sans: [], eku: ['clientAuth'], freshKey: true, notBefore: ago(335 * DAY) })).write(
      join(desk, folder),
      `team-${at}.tmp`,
    );
  for (const at of hosts.keys()) {
    const { cert, key } = await rotate(at, `team-${at}`);
    renameSync(cert, join(desk, `certs/team-${at}.crt`));
    renameSync(key, join(desk, `certs/team-${at}.key`));
  }
  const store = (folder: string) => `version: 1
certificates:
${hosts.map((host, at) => `  - { name: team-${at}, host: ${host}, cert: ${desk}/${folder}/team-${at}.crt, key: ${desk}/${folder}/team-${at}.key }\n`).join('')}trust: { system: false, ca: [${desk}/partner-root.pem] }
`;
  // One wrong path in all 41 entries is one line of the log, with its count.
  const wrong = store('certs').replaceAll(/certs\/team-\d+\.crt/g, 'cert/shared.crt');
  const daemon = await startDaemon({ store: wrong, settings: connectTo(...hosts) });
  const type = openShell(desk, daemon.home);
  const client = async (at: number) =>
    (await curl(`https://${hosts[at]}/`, through(daemon))).json<{ client: string }>().client;
  const reloaded = (name: string) => {
    const before = daemon.log.length;
    return daemon.event(
      'store.loaded',
      (line) => daemon.log.indexOf(line) >= before && (line.changed as string[]).includes(name),
    );
  };
  const mistake = await daemon.event('store.problem');
  expect(mistake.message).toMatch(/\(41 entries\)$/);
  expect(daemon.log.filter(({ event }) => event === 'store.problem').length).toBe(1);
  expect(
    (await type('mtlsd doctor --no-clients')).output.match(/team-0 and 40 others: .* does not exist/g),
  ).toHaveLength(1);

  await daemon.replaceStore(store('certs'));
  const entries = JSON.parse((await type('mtlsd cert list --json')).output) as { usable: boolean }[];
  expect(entries.filter(({ usable }) => usable)).toHaveLength(41);
  expect(await Promise.all(hosts.map((_, at) => client(at)))).toEqual(hosts.map((_, at) => `team-${at}`));

  // A renewal that renames both files into place.
  const renewed = reloaded('team-17');
  const { cert, key } = await rotate(17, 'team-17 renewed');
  renameSync(key, join(desk, 'certs/team-17.key'));
  renameSync(cert, join(desk, 'certs/team-17.crt'));
  await renewed;
  expect(await client(17)).toBe('team-17 renewed');
  expect(await client(18)).toBe('team-18');

  // A folder that a symbolic link swaps, as secrets are mounted.
  for (const version of ['v1', 'v2']) {
    const written = await rotate(3, `team-3 ${version}`, version);
    renameSync(written.cert, join(desk, version, 'tls.crt'));
    renameSync(written.key, join(desk, version, 'tls.key'));
  }
  symlinkSync('v1', join(desk, 'data'));
  await daemon.replaceStore(
    store('certs').replaceAll('certs/team-3.crt', 'data/tls.crt').replaceAll('certs/team-3.key', 'data/tls.key'),
  );
  expect(await client(3)).toBe('team-3 v1');
  const swapped = reloaded('team-3');
  symlinkSync('v2', join(desk, 'data.new'));
  renameSync(join(desk, 'data.new'), join(desk, 'data'));
  await swapped;
  expect(await client(3)).toBe('team-3 v2');

  // A mistake changes nothing, and `status` says where it is.
  const good = readFileSync(join(daemon.home, 'certificates.yaml'), 'utf8');
  writeFileSync(join(daemon.home, 'certificates.yaml'), good.replace('version: 1', 'version: 1\nport: "443"'));
  await daemon.event('store.rejected');
  const status = (await type('mtlsd status')).output;
  expect(status).toMatch(/certificates\.yaml has a mistake; the last good store is in force\n +2:1: /);
  expect(status).toContain('36 more: mtlsd cert list');
  expect(await client(5)).toBe('team-5');
  rmSync(desk, { recursive: true });
  await daemon.stop();
});

test('a security engineer with a SIEM', async () => {
  const files = temporaryDirectory();
  (await partner.issue({ cn: 'alice', sans: [], eku: ['clientAuth'] })).write(files, 'alice');
  (
    await partner.issue({
      cn: 'old',
      sans: [],
      eku: ['clientAuth'],
      notBefore: ago(40 * DAY),
      notAfter: ago(2 * DAY),
    })
  ).write(files, 'old');
  const daemon = await startDaemon({
    store: `version: 1
certificates:
  - { name: alice, host: api.partner.example, cert: ${files}/alice.crt, key: ${files}/alice.key, passphrase: canary-passphrase }
  - { name: old, host: old.partner.example, cert: ${files}/old.crt, key: ${files}/old.key }
`,
    settings: connectTo('api.partner.example'),
    secrets: ['canary-passphrase', 'canary-authorization', 'canary-cookie', 'canary-query'],
  });
  const ask = (...args: string[]) =>
    curl('https://api.partner.example/orders?token=canary-query', [
      ...through(daemon),
      '-H',
      'Authorization: Bearer canary-authorization',
      '-H',
      'Cookie: session=canary-cookie',
      ...args,
    ]);
  const stream = await openEvents(daemon);
  await ask();
  await runMtlsd(['verification', 'set', 'report', '--host', 'api.partner.example', '--home', daemon.home]);
  await ask();
  // The client that does not trust the local CA.
  await curl('https://api.partner.example/', ['--proxy', daemon.proxy]);

  // The SIEM knows the schema of the documentation and nothing else: which fields there are, and how lines belong together.
  const schema = JSON.parse(readFileSync(new URL('../../docs/log-events.schema.json', import.meta.url), 'utf8')) as {
    $defs: Record<string, { properties?: Record<string, unknown> }>;
  };
  const ajv = new Ajv2020({ strict: false, validateSchema: false });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema(schema, 'log');
  const refused = await daemon.event('proxy.refused');
  const sent = await daemon.event('exchange', ({ status }) => status === 200);
  for (const line of daemon.log) {
    expect(ajv.validate({ $ref: `log#/$defs/${line.event}` }, line), ajv.errorsText()).toBe(true);
    expect(Object.keys(schema.$defs[line.event]?.properties ?? {})).toEqual(expect.arrayContaining(Object.keys(line)));
  }

  // Rule 1: a request went to a server that is not verified; by whose rule, and with which problems?
  expect(sent).toMatchObject({ authorized: false, certificate: 'alice', path: '/orders' });
  const handshake = await daemon.event('tls.connected', ({ connection }) => connection === sent.connection);
  expect(handshake).toMatchObject({
    verification: { mode: 'report', authorized: false, problems: [{ code: 'SELF_SIGNED_CERT_IN_CHAIN' }] },
    client_certificate: { name: 'alice', sent: true },
  });
  // Rule 2: verification was loosened.
  expect(await daemon.event('admin', ({ rule }) => rule === 'api.partner.example:443')).toMatchObject({
    action: 'rule.added',
    mode: 'report',
    who: 'cli',
  });
  // Rule 3: a certificate has expired. Rule 4: a client was turned away, with an id that can be looked up.
  expect(await daemon.event('certificate.expired')).toMatchObject({ name: 'old' });
  expect(refused).toMatchObject({ code: 'CLIENT_TLS_FAILED' });
  expect((await daemon.api(`/api/v1/exchanges/${refused.exchange as string}`)).status).toBe(200);

  // The event stream shows the same records; a reader that was away continues after the last event that it had.
  const first = await stream.next(({ event }) => event === 'exchange');
  expect(first.data).toMatchObject({ status: 502, error: { code: 'SERVER_CERTIFICATE_REJECTED' } });
  stream.close();
  const resumed = await openEvents(daemon, '', { 'last-event-id': first.id });
  const again = await resumed.next(({ event, data }) => event === 'exchange' && data.status === 200);
  expect(again.data.exchange).toBe(sent.exchange);
  resumed.close();
  await daemon.stop();
});

describe('a program that knows only the OpenAPI document', () => {
  interface Document {
    readonly paths: Record<
      string,
      Record<string, { operationId: string; parameters?: { name: string; in: string }[] }>
    >;
  }

  test('gives a host its certificate, trusts its CA as the hint says, and finds out what was sent', async () => {
    const daemon = await startDaemon({ settings: connectTo('api.partner.example') });
    const document = (await (await daemon.api('/openapi.json')).json()) as Document;
    const operations = new Map(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(
          ([method, operation]) =>
            [operation.operationId, { ...operation, path, method: method.toUpperCase() }] as const,
        ),
      ),
    );
    async function call<T>(operationId: string, parameters: Record<string, string> = {}, body?: unknown): Promise<T> {
      const operation = operations.get(operationId);
      if (!operation) throw new Error(`the document has no operation ${operationId}`);
      const query = new URLSearchParams();
      let { path } = operation;
      for (const [name, value] of Object.entries(parameters)) {
        const place = operation.parameters?.find((each) => each.name === name)?.in;
        if (place === undefined) throw new Error(`the document has no parameter ${name} of ${operationId}`);
        if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
        else query.set(name, value);
      }
      const response = await daemon.api(`${path}${query.size > 0 ? `?${query.toString()}` : ''}`, {
        method: operation.method,
        ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${operationId} ${response.status}: ${text}`);
      return (text === '' ? null : JSON.parse(text)) as T;
    }

    const { certPem, keyPem } = await partner.issue({ cn: 'robot', sans: [], eku: ['clientAuth'] });
    await call(
      'addCertificate',
      {},
      { name: 'robot', host: 'api.partner.example', cert_pem: certPem, key_pem: keyPem },
    );
    expect(await call('match', { authority: 'api.partner.example:443' })).toMatchObject({
      certificate: { name: 'robot' },
    });

    const url = 'https://api.partner.example/orders';
    expect((await curl(url, through(daemon))).status).toBe(502);
    interface List {
      readonly exchanges: {
        exchange: string;
        connection: string;
        authorized: boolean;
        error: { hint: string } | null;
      }[];
    }
    const [failed] = (await call<List>('listExchanges', { failed: 'true' })).exchanges;
    // The hint speaks of a route and its fields, and of no command.
    const hint = failed?.error?.hint ?? '';
    expect(hint).not.toContain('mtlsd ');
    expect(hint).toMatch(/POST \/api\/v1\/trust\/anchors with authority .* fingerprint256 .* host /);
    const probe = await call<{ server: { chain: { subject: string; fingerprint256: string }[] } }>(
      'probe',
      {},
      {
        authority: 'api.partner.example',
      },
    );
    const root = probe.server.chain.at(-1);
    expect(root?.fingerprint256).toBe(new X509Certificate(partner.certPem).fingerprint256);
    await call(
      'addAnchor',
      {},
      {
        authority: 'api.partner.example',
        fingerprint256: root?.fingerprint256,
        host: 'api.partner.example',
      },
    );

    expect((await curl(url, through(daemon))).json<{ client: string }>().client).toBe('robot');
    const [worked] = (await call<List>('listExchanges', { certificate: 'robot' })).exchanges;
    expect(worked?.authorized).toBe(true);
    expect(await call('showConnection', { id: worked?.connection ?? '' })).toMatchObject({
      client_certificate: { name: 'robot', sent: true },
      verification: { authorized: true, problems: [] },
    });
    await call('removeCertificate', { name: 'robot' });
    expect(await call('listCertificates')).toMatchObject({ certificates: [] });
    await daemon.stop();
  });
});
