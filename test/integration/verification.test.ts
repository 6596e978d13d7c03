import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { ago, ahead, createPki, DAY, type Issued } from '../support/pki.ts';

describe('a server that fails verification', () => {
  const files = temporaryDirectory();
  const origins = new Map<string, Origin>();
  let daemon: RunningDaemon;
  const cases = [
    ['expired', 'CERT_HAS_EXPIRED'],
    ['not-yet-valid', 'CERT_NOT_YET_VALID'],
    ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['unknown-issuer', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['unknown-issuer-chain', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
    ['wrong-name', 'HOSTNAME_MISMATCH'],
  ] as const;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root({ cn: 'test root' });
    const other = await pki.root({ cn: 'other root' });
    root.write(files, 'root');
    const sans = ['localhost'];
    const servers: Record<(typeof cases)[number][0] | 'good', Issued> = {
      good: await root.issue({ cn: 'localhost', sans }),
      expired: await root.issue({ cn: 'localhost', sans, notBefore: ago(30 * DAY), notAfter: ago(2 * DAY) }),
      'not-yet-valid': await root.issue({
        cn: 'localhost',
        sans,
        notBefore: ahead(2 * DAY),
        notAfter: ahead(30 * DAY),
      }),
      'self-signed': await pki.selfSigned({ cn: 'localhost', sans }),
      'unknown-issuer': await other.issue({ cn: 'localhost', sans }),
      'unknown-issuer-chain': await (await other.intermediate({ cn: 'other intermediate' })).issue({
        cn: 'localhost',
        sans,
      }),
      'wrong-name': await root.issue({ cn: 'wrong.example', sans: ['wrong.example', 'other.example'] }),
    };
    for (const [name, { keyPem, chainPem }] of Object.entries(servers))
      origins.set(name, await nodeOrigin({ key: keyPem, cert: chainPem }));
    daemon = await startDaemon({ store: `version: 1\ntrust: { system: false, ca: [${files}/root.crt] }\n` });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...[...origins.values()].map((origin) => origin.close())]);
  });

  test('one that passes is let through', async () => {
    expect((await curl(`${origins.get('good')?.url}/`, through(daemon))).status).toBe(200);
  });

  test.each(cases)('%s: refused in enforce, nothing sent', async (name, code) => {
    const origin = origins.get(name) as Origin;
    const result = await curl(`${origin.url}/secret`, [...through(daemon), '-d', 'payload']);
    expect(result.status).toBe(502);
    expect(result.headers['proxy-status']).toMatch(
      new RegExp(`^mtlsd; error=tls_certificate_error; details="SERVER_CERTIFICATE_REJECTED ${code}: `),
    );
    expect(result.body).toContain(`problem:     ${code} at depth `);
    expect(result.body).toMatch(/^next: +\S/m);
    expect(origin.seen).toEqual([]);
    const exchange = await daemon.event('exchange', (line) => line.authority === `localhost:${origin.port}`);
    expect(exchange).toMatchObject({ status: 502, error: { code: 'SERVER_CERTIFICATE_REJECTED' } });
    // A connection dialled ahead may have failed before it.
    const failed = await daemon.event('tls.failed', (line) => line.connection === exchange.connection);
    expect(failed).toMatchObject({
      error: { code: 'SERVER_CERTIFICATE_REJECTED' },
      verification: { mode: 'enforce', authorized: false, problems: [expect.objectContaining({ code })] },
    });
  });

  test.each(cases)('%s: let through and recorded in report', async (name, code) => {
    const origin = origins.get(name) as Origin;
    const result = await curl(`${origin.url}/report`, [...through(daemon), '-H', 'Mtlsd-Verification: report']);
    expect(result.status).toBe(200);
    const exchange = await daemon.event(
      'exchange',
      (line) => line.path === '/report' && line.authority === `localhost:${origin.port}`,
    );
    expect(exchange).toMatchObject({ authorized: false, overrides: { verification: 'report' } });
    const connection = await (await daemon.api(`/api/v1/connections/${String(exchange.connection)}`)).json();
    expect(connection).toMatchObject({
      verification: { mode: 'report', override: true, problems: [expect.objectContaining({ code })] },
    });
    // and the connection made in report is not used for a request in enforce
    expect((await curl(`${origin.url}/again`, through(daemon))).status).toBe(502);
  });

  test('bodies come in the form asked for', async () => {
    const origin = origins.get('expired') as Origin;
    const json = await curl(origin.url, [...through(daemon), '-H', 'Accept: application/json']);
    expect(json.headers['content-type']).toBe('application/problem+json');
    expect(json.json()).toMatchObject({
      code: 'SERVER_CERTIFICATE_REJECTED',
      status: 502,
      problems: [{ code: 'CERT_HAS_EXPIRED', depth: 0 }],
    });
    const html = await curl(origin.url, [
      ...through(daemon),
      '-H',
      'Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8',
    ]);
    expect(html.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(html.body).toContain('CERT_HAS_EXPIRED');
  });
});
