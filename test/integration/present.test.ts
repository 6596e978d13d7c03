import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Origin, nodeOrigin, opensslOrigin, type Seen } from '../support/origins.ts';
import { type Authority, createPki } from '../support/pki.ts';
import { nginxOrigin } from '../support/nginx.ts';
import { hasTool } from '../support/tools.ts';

describe('a client certificate goes to the authority that it is configured for', () => {
  let root: Authority;
  let strict: Origin;
  let asking: Origin;
  let daemon: RunningDaemon;
  const files = temporaryDirectory();

  beforeAll(async () => {
    const pki = await createPki();
    root = await pki.root({ cn: 'test root' });
    const server = await root.issue({
      cn: 'localhost',
      sans: ['localhost', '127.0.0.1', '*.test.example'],
      eku: ['serverAuth'],
    });
    server.write(files, 'server');
    root.write(files, 'root');
    for (const name of ['alice', 'bob', 'carol'])
      (await root.issue({ cn: name, eku: ['clientAuth'] })).write(files, name);
    const tls = { key: server.keyPem, cert: server.chainPem, ca: root.certPem };
    strict = await nodeOrigin({ ...tls, requestCert: true, rejectUnauthorized: true });
    asking = await nodeOrigin({ ...tls, requestCert: true, rejectUnauthorized: false });
    daemon = await startDaemon({
      store: `version: 1
certificates:
  - { name: shadowed, host: localhost, port: ${strict.port}, cert: ${files}/bob.crt, key: ${files}/bob.key }
  - { name: winner, host: localhost, port: ${strict.port}, cert: ${files}/alice.crt, key: ${files}/alice.key }
  - { name: wildcard, host: "*.test.example", port: "*", cert: ${files}/bob.crt, key: ${files}/bob.key }
  - { name: exact, host: a.test.example, port: "*", cert: ${files}/carol.crt, key: ${files}/carol.key }
  - { name: hers, host: p.test.example, port: ${asking.port}, profile: carol, cert: ${files}/carol.crt, key: ${files}/carol.key }
trust: { system: false, ca: [${files}/root.crt] }
`,
      settings: `connect_to: { a.test.example: 127.0.0.1, b.test.example: 127.0.0.1, p.test.example: 127.0.0.1 }\n`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), strict.close(), asking.close()]);
  });

  const seenBy = async (url: string, args: string[] = []): Promise<Seen> => {
    const result = await curl(url, [...through(daemon), ...args]);
    expect(result.stderr).toBe('');
    expect(result.status).toBe(200);
    return result.json<Seen>();
  };

  test('sent where host and port match, the last entry winning', async () => {
    const seen = await seenBy(`${strict.url}/orders?token=canary-query`);
    expect(seen).toMatchObject({
      client: 'alice',
      url: '/orders?token=canary-query',
      servername: 'localhost',
      resumed: false,
    });
    const record = await daemon.event('exchange', (line) => line.path === '/orders');
    expect(record).toMatchObject({
      status: 200,
      certificate: 'winner',
      authorized: true,
      authority: `localhost:${strict.port}`,
      error: null,
    });
    const connection = await (await daemon.api(`/api/v1/connections/${String(record.connection)}`)).json();
    expect(connection).toMatchObject({
      event: 'tls.connected',
      tls: { protocol: 'TLSv1.3' },
      client_certificate: {
        requested: true,
        sent: true,
        outcome: 'sent',
        name: 'winner',
        reason: 'exact host and port',
        fingerprint256: seen.fingerprint256,
      },
      server: { chain: [{ subject: 'CN=localhost' }, { subject: 'CN=test root' }] },
    });
    expect(JSON.stringify(daemon.log)).not.toContain('canary-query');
  });

  test('the one that lost is named', async () => {
    const { certificates } = (await (await daemon.api('/api/v1/certificates')).json()) as {
      certificates: { name: string; shadowed_by: string | null }[];
    };
    expect(certificates.find(({ name }) => name === 'shadowed')?.shadowed_by).toBe('winner');
  });

  test('none to another port of the host', async () => {
    expect((await seenBy(asking.url)).client).toBeNull();
    const record = await daemon.event('tls.connected', (line) => line.authority === `localhost:${asking.port}`);
    expect(record.client_certificate).toMatchObject({
      requested: true,
      sent: false,
      outcome: 'none_configured',
      name: null,
    });
  });

  test('none to another name of the same server', async () => {
    expect((await seenBy(`https://127.0.0.1:${asking.port}/`)).client).toBeNull();
  });

  test('a wildcard serves any depth, an exact host wins over it', async () => {
    expect((await seenBy(`https://b.test.example:${asking.port}/`)).client).toBe('bob');
    expect((await seenBy(`https://a.test.example:${asking.port}/`)).client).toBe('carol');
  });

  test('Host and SNI change neither where a request goes nor what it carries', async () => {
    const seen = await seenBy(`https://b.test.example:${asking.port}/mismatch`, [
      '-H',
      `Host: localhost:${strict.port}`,
    ]);
    expect(seen).toMatchObject({ client: 'bob', servername: 'b.test.example' });
    const record = await daemon.event('exchange', (line) => line.path === '/mismatch');
    expect(record.mismatch).toEqual({ host: `localhost:${strict.port}` });
  });

  test('a profile is used only by clients that ask for it', async () => {
    expect((await seenBy(`https://p.test.example:${asking.port}/`)).client).toBe('bob');
    const proxy = daemon.proxy.replace('http://', 'http://carol@');
    const result = await curl(`https://p.test.example:${asking.port}/`, ['--proxy', proxy, '--cacert', daemon.caFile]);
    expect(result.json<Seen>().client).toBe('carol');
  });

  test('Mtlsd-Certificate chooses among the entries that match, never another host’s', async () => {
    expect((await seenBy(`https://a.test.example:${asking.port}/`, ['-H', 'Mtlsd-Certificate: wildcard'])).client).toBe(
      'bob',
    );
    const none = await seenBy(`https://a.test.example:${asking.port}/`, ['-H', 'Mtlsd-Certificate: none']);
    expect(none.client).toBeNull();
    expect(none.fields.join().toLowerCase()).not.toContain('mtlsd-certificate');
    const before = asking.seen.length;
    const foreign = await curl(`https://a.test.example:${asking.port}/`, [
      ...through(daemon),
      '-H',
      'Mtlsd-Certificate: winner',
    ]);
    expect(foreign.status).toBe(502);
    expect(foreign.body).toContain('CLIENT_CERTIFICATE_UNKNOWN');
    expect(asking.seen.length).toBe(before);
  });

  test('a server that asks where none is configured is distinguished from a refusal', async () => {
    const result = await curl(`https://127.0.0.1:${strict.port}/`, through(daemon));
    expect(result.status).toBe(502);
    expect(result.headers['proxy-status']).toMatch(
      /^mtlsd; error=tls_alert_received; alert-id=116; alert-message=certificate_required; details="CLIENT_CERTIFICATE_REQUIRED/,
    );
    expect(result.body).toContain('CLIENT_CERTIFICATE_REQUIRED');
  });

  test('openssl s_server -Verify sees it', async () => {
    const origin = await opensslOrigin([
      '-cert',
      `${files}/server.crt`,
      '-key',
      `${files}/server.key`,
      '-CAfile',
      `${files}/root.crt`,
      '-Verify',
      '2',
      '-verify_return_error',
      '-www',
    ]);
    try {
      const result = await curl(`https://b.test.example:${origin.port}/`, through(daemon));
      expect(result.status).toBe(200);
      expect(result.body).toMatch(/Subject: CN ?= ?bob/);
    } finally {
      await origin.close();
    }
  });

  test.runIf(hasTool('nginx'))('nginx sees it, and its 400 is understood', async () => {
    const origin = await nginxOrigin({
      cert: `${files}/server.crt`,
      key: `${files}/server.key`,
      clientCa: `${files}/root.crt`,
    });
    try {
      const result = await curl(`https://b.test.example:${origin.port}/`, through(daemon));
      expect(result.body).toBe('SUCCESS CN=bob\n');
      const refused = await curl(`https://localhost:${origin.port}/none`, through(daemon));
      expect(refused.status).toBe(400);
      const record = await daemon.event('exchange', (line) => line.path === '/none');
      expect(record.error).toMatchObject({ code: 'CLIENT_CERTIFICATE_REQUIRED' });
    } finally {
      await origin.close();
    }
  });

  test('an entry that cannot be loaded answers 502, and nothing reaches the origin', async () => {
    const before = [asking.connections(), strict.connections()];
    const broken = join(files, 'broken.key');
    writeFileSync(broken, 'not a key\n', { mode: 0o600 });
    await daemon.replaceStore(`version: 1
certificates:
  - { name: broken, host: localhost, port: ${asking.port}, cert: ${files}/alice.crt, key: ${broken} }
  - { name: missing, host: localhost, port: ${strict.port}, cert: ${files}/gone.crt, key: ${files}/alice.key }
trust: { system: false, ca: [${files}/root.crt] }
`);
    for (const [origin, name] of [
      [asking, 'broken'],
      [strict, 'missing'],
    ] as const) {
      const result = await curl(`${origin.url}/`, [...through(daemon), '-d', 'body']);
      expect(result.status).toBe(502);
      expect(result.headers['proxy-status']).toContain('CLIENT_CERTIFICATE_UNUSABLE');
      expect(result.body).toContain(name);
    }
    expect([asking.connections(), strict.connections()]).toEqual(before);
  });
});
