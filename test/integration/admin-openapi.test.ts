import { createConfig, lintFromString } from '@redocly/openapi-core';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiTypes } from '../../config/api-types.ts';
import { createScene, type Scene, writePfx } from '../support/scene.ts';
import { type AdminClient, adminClient } from '../support/admin.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, temporaryDirectory } from '../support/daemon.ts';
import type { Origin, Seen } from '../support/origins.ts';
import type { Authority } from '../support/pki.ts';

describe('the OpenAPI document', () => {
  const files = temporaryDirectory();
  let root: Authority;
  let scene: Scene;
  let origin: Origin;
  let daemon: RunningDaemon;
  let admin: AdminClient;

  beforeAll(async () => {
    scene = await createScene({
      files,
      demands: false,
      settings: 'records: { fields: redacted }\n',
      store: () => `version: 1\ntrust: { system: false, ca: [${files}/root.crt] }\n`,
    });
    ({ origin, daemon, root } = scene);
    writePfx(files, 'alice', 'secret');
    admin = await adminClient(daemon);
  });
  afterAll(() => scene.close());

  test('passes a public linter', async () => {
    const source = await (await daemon.api('/openapi.json')).text();
    const config = await createConfig({ extends: ['recommended'], rules: { 'no-server-example.com': 'off' } });
    const problems = await lintFromString({ source, config });
    expect(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer}`)).toEqual(
      [],
    );
  });

  test('the types of the page are made from it (npm run schema)', () => {
    const types = readFileSync(new URL('../../ui/api/document.ts', import.meta.url), 'utf8');
    expect(types).toBe(apiTypes(admin.document as unknown as Parameters<typeof apiTypes>[0]));
  });

  test('docs/admin-api.md has every operation and every metric', async () => {
    const text = readFileSync(new URL('../../docs/admin-api.md', import.meta.url), 'utf8');
    const operations = Object.entries(admin.document.paths).flatMap(([path, methods]) =>
      Object.values(methods).flatMap(({ operationId }) => [path, `\`${operationId}\``]),
    );
    const metrics = await (await daemon.api('/metrics')).text();
    const names = [...metrics.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => `\`${name}\``);
    expect([...operations, ...names].filter((name) => !text.includes(name))).toEqual([]);
    expect(names.length).toBeGreaterThan(15);
  });

  test('a client written from it alone can add, use, edit and remove a certificate', async () => {
    const client = await fromDocument(daemon);
    const added = await client('addCertificate', {
      body: {
        host: 'localhost',
        port: origin.port,
        pfx_base64: readFileSync(`${files}/alice.p12`).toString('base64'),
        passphrase: 'secret',
      },
    });
    expect(added).toMatchObject({ usable: true, facts: [{ subject: 'CN=alice' }] });
    const name = String(added.name);
    const seen = async () => (await curl(origin.url, through(daemon))).json<Seen>().client;
    expect(await seen()).toBe('alice');
    expect(await client('showCertificate', { name })).toMatchObject({ name, last_used: expect.any(String) });
    expect(await client('editCertificate', { name, body: { enabled: false } })).toMatchObject({ enabled: false });
    expect(await seen()).toBeNull();
    await client('removeCertificate', { name });
    expect(await client('listCertificates')).toMatchObject({ certificates: [], total: 0 });
  });

  test('every operation answers as it says', async () => {
    const call = async (method: string, path: string, body?: unknown) =>
      (await admin.call<Record<string, string>>(method, path, { body })).body;
    const own = { host: 'a.example', cert: `${files}/alice.crt`, key: `${files}/alice.key` };
    for (const path of ['/healthz', '/readyz', '/ca.pem', '/ca.crt', '/proxy.pac']) await call('GET', path);
    await call('POST', '/api/v1/certificates', { name: 'a', ...own });
    await call('GET', '/api/v1/certificates');
    await call('GET', '/api/v1/certificates/a');
    await call('PUT', '/api/v1/certificates/a', { ...own, passphrase: { env: 'NOBODY' } });
    await call('PATCH', '/api/v1/certificates/a', {
      passphrase: { command: ['true'] },
      host: 'localhost',
      port: origin.port,
    });
    await call('PATCH', '/api/v1/certificates/a', { renew: { command: ['true'] } });
    await call('POST', '/api/v1/certificates/a/renew?dry_run=true');
    await call('GET', '/api/v1/revocation');
    await call('POST', '/api/v1/certificates/inspect', { cert: own.cert, key: own.key });
    await curl(`${origin.url}/told?query=secret`, [
      ...through(daemon),
      '-H',
      'Mtlsd-Verification: report',
      '-H',
      'Host: other.example',
    ]);
    await curl('http://localhost:1/', through(daemon));
    await curl('https://nowhere.invalid/', through(daemon));
    const { body: list } = await admin.call<{ exchanges: { exchange: string; connection: string | null }[] }>(
      'GET',
      '/api/v1/exchanges',
    );
    expect(list.exchanges.length).toBeGreaterThanOrEqual(3);
    for (const { exchange, connection } of list.exchanges) {
      await call('GET', `/api/v1/exchanges/${exchange}`);
      await call('GET', `/api/v1/exchanges/${exchange}/fields`);
      if (connection) await call('GET', `/api/v1/connections/${connection}`);
    }
    await call('DELETE', '/api/v1/certificates/a');
    await call('POST', '/api/v1/certificates/a/restore');
    await call('DELETE', '/api/v1/certificates/a');
    const anchor = (await call('POST', '/api/v1/trust/anchors', { cert_pem: root.certPem })) as { file: string };
    await call('GET', '/api/v1/trust/anchors');
    await call('DELETE', `/api/v1/trust/anchors?file=${encodeURIComponent(anchor.file)}`);
    await call('POST', '/api/v1/session/codes');
    await call('DELETE', '/api/v1/session');
    for (const section of ['verification', 'trust', 'interception'])
      await call('PUT', `/api/v1/${section}`, await call('GET', `/api/v1/${section}`));
    const rule = '/api/v1/verification/rules/b.example/443';
    await call('PUT', rule, {
      mode: 'report',
      trust: { system: true },
      allow: ['CERT_HAS_EXPIRED'],
      pins: [`sha256/${'A'.repeat(43)}=`],
      server_name: 'c.example',
    });
    await call('GET', rule);
    await call('GET', '/api/v1/match?authority=b.example');
    await call('DELETE', rule);
    await call('POST', '/api/v1/probe', { authority: `localhost:${origin.port}` });
    await call('GET', '/api/v1/status');
    await call('POST', '/api/v1/reload');
    await call('POST', '/api/v1/ca/rotation', { overlap: '1h' });
    await call('GET', '/api/v1/status');
    await call('DELETE', '/api/v1/ca/rotation');
    await call('POST', '/api/v1/ca/rotation', {});
    await call('POST', '/api/v1/ca/rotation/finish');
    await call('GET', '/api/v1/export.har');
    await call('GET', '/metrics');
    const all = Object.values(admin.document.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    // The stream has no end to wait for here; admin-records reads it.
    const missing = all.filter(
      (id) => id !== 'events' && ![...(admin.called.get(id) ?? [])].some((status) => status < 300),
    );
    expect(missing).toEqual([]);
    expect(new Set(all).size).toBe(all.length);
  });
});

interface Described {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly requestBody?: { readonly content: Readonly<Record<string, unknown>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Knows the address, the token and the document; everything else it reads there. */
async function fromDocument({ admin, token }: RunningDaemon) {
  const headers = { authorization: `Bearer ${token}` };
  const document = (await (await fetch(`${admin}/openapi.json`, { headers })).json()) as {
    paths: Record<string, Record<string, Described>>;
  };
  return async (
    operationId: string,
    { body, ...parameters }: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> => {
    for (const [template, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.operationId !== operationId) continue;
        const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(parameters[name])));
        const [type = ''] = Object.keys(operation.requestBody?.content ?? {});
        const response = await fetch(`${admin}${path}`, {
          method: method.toUpperCase(),
          headers: { ...headers, ...(type && { 'content-type': type }) },
          ...(type && { body: JSON.stringify(body) }),
        });
        const success = Object.keys(operation.responses).filter((status) => status.startsWith('2'));
        expect(success).toContain(String(response.status));
        return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>);
      }
    }
    throw new Error(`the document has no ${operationId}`);
  };
}
