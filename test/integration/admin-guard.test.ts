import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';

interface Raw {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** As nothing that a browser or fetch would let one send. */
function raw(
  target: URL | string,
  path: string,
  headers: Record<string, string>,
  method = 'GET',
  body?: string,
): Promise<Raw> {
  const place = typeof target === 'string' ? { socketPath: target } : { host: target.hostname, port: target.port };
  return new Promise((resolve, reject) => {
    const sent = request({ ...place, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('who may use the admin API', () => {
  let daemon: RunningDaemon;
  let admin: URL;
  let token: Record<string, string>;

  beforeAll(async () => {
    daemon = await startDaemon();
    admin = new URL(daemon.admin);
    token = { authorization: `Bearer ${daemon.token}` };
  });
  afterAll(() => daemon.stop());

  const codeOf = ({ body }: Raw): string => (JSON.parse(body) as { code: string }).code;

  test('a request without the token is refused', async () => {
    for (const path of [
      '/api/v1/status',
      '/api/v1/certificates',
      '/metrics',
      '/openapi.json',
      '/api/v1/events',
      '/nothing',
    ]) {
      for (const headers of [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: `Basic ${daemon.token}` },
        { authorization: `Bearer ${daemon.token}x` },
      ]) {
        const refused = await raw(admin, path, headers as Record<string, string>);
        expect([refused.status, codeOf(refused)], path).toEqual([401, 'TOKEN_REQUIRED']);
        expect(refused.headers['www-authenticate']).toBe('Bearer realm="mtlsd"');
      }
    }
    // Never in a URL, which others log.
    expect((await raw(admin, `/api/v1/status?token=${daemon.token}`, {})).status).toBe(401);
    const refusals = daemon.log.filter(({ event, action }) => event === 'admin' && action === 'refused');
    expect(refusals[0]).toMatchObject({
      level: 'warn',
      code: 'TOKEN_REQUIRED',
      path: '/api/v1/status',
      client: expect.stringMatching(/^127/),
    });
    expect(JSON.stringify(daemon.log)).not.toContain(daemon.token);
  });

  test('the open routes need none', async () => {
    for (const [path, type] of [
      ['/healthz', 'application/json; charset=utf-8'],
      ['/readyz', 'application/json; charset=utf-8'],
      ['/ca.pem', 'application/x-pem-file'],
      ['/ca.crt', 'application/x-x509-ca-cert'],
      ['/proxy.pac', 'application/x-ns-proxy-autoconfig'],
      ['/', 'text/html; charset=utf-8'],
    ] as const) {
      const open = await raw(admin, path, {});
      expect([open.status, open.headers['content-type']]).toEqual([200, type]);
    }
    expect((await raw(admin, '/proxy.pac', {})).body).toContain(`PROXY 127.0.0.1:${daemon.proxyPort}`);
  });

  test('a request to another name is refused: DNS rebinding', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${admin.port}`,
      '127.0.0.1.evil.example',
      'localhost.evil.example',
      '192.0.2.1',
      '0.0.0.0',
    ]) {
      for (const path of ['/api/v1/status', '/healthz']) {
        const refused = await raw(admin, path, { ...token, host });
        expect([refused.status, codeOf(refused)], host).toEqual([421, 'WRONG_HOST']);
      }
    }
    for (const host of ['localhost', `localhost:${admin.port}`, '[::1]', `127.0.0.1:${admin.port}`])
      expect((await raw(admin, '/api/v1/status', { ...token, host })).status, host).toBe(200);
  });

  test('no page of another origin: CSRF', async () => {
    const body = JSON.stringify({ mode: 'report' });
    for (const origin of [
      'https://evil.example',
      'null',
      `http://evil.example:${admin.port}`,
      `https://${admin.host}`,
      'http://127.0.0.1:1',
    ]) {
      const refused = await raw(
        admin,
        '/api/v1/verification',
        { ...token, origin, 'content-type': 'application/json' },
        'PUT',
        body,
      );
      expect([refused.status, codeOf(refused)], origin).toEqual([403, 'FOREIGN_ORIGIN']);
      expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    }
    expect((await raw(admin, '/api/v1/verification', { ...token, origin: admin.origin })).status).toBe(200);
    const preflight = await raw(
      admin,
      '/api/v1/verification',
      { origin: 'https://evil.example', 'access-control-request-method': 'PUT' },
      'OPTIONS',
    );
    expect(preflight.status).toBe(403);
    expect(await (await daemon.api('/api/v1/verification')).json()).toMatchObject({ mode: 'enforce' });
  });

  test('bodies are JSON and nothing that a form could send', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/xml',
    ]) {
      const refused = await raw(
        admin,
        '/api/v1/verification',
        { ...token, 'content-type': type },
        'PUT',
        '{"mode":"report"}',
      );
      expect([refused.status, codeOf(refused)], type).toEqual([415, 'JSON_ONLY']);
    }
    const large = await raw(
      admin,
      '/api/v1/probe',
      { ...token, 'content-type': 'application/json' },
      'POST',
      JSON.stringify({ authority: 'x'.repeat(2 ** 20) }),
    );
    expect([large.status, codeOf(large)]).toEqual([413, 'BODY_TOO_LARGE']);
    const polluted = await raw(
      admin,
      '/api/v1/verification',
      { ...token, 'content-type': 'application/json' },
      'PUT',
      '{"__proto__":{"mode":"report"}}',
    );
    expect(polluted.status).toBe(400);
  });

  test('what has no route, and methods that a route has not', async () => {
    for (const [method, path] of [
      ['GET', '/api/v1/nothing'],
      ['DELETE', '/api/v1/status'],
      ['POST', '/healthz'],
    ] as const) {
      const refused = await raw(admin, path, token, method);
      expect([refused.status, refused.headers['content-type']]).toEqual([
        404,
        'application/problem+json; charset=utf-8',
      ]);
    }
  });

  test('security headers on every answer', async () => {
    for (const [path, headers] of [
      ['/healthz', {}],
      ['/api/v1/status', token],
      ['/api/v1/status', {}],
    ] as const) {
      const answer = await raw(admin, path, headers);
      expect(answer.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      });
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
  });

  test('a request through the proxy itself is refused', async () => {
    for (const host of ['127.0.0.1', 'localhost', '0.0.0.0']) {
      const plain = await curl(`http://${host}:${admin.port}/api/v1/status`, [
        ...through(daemon),
        '-H',
        `Authorization: Bearer ${daemon.token}`,
      ]);
      expect([plain.status, plain.body], host).toEqual([508, expect.stringContaining('LOOP_DETECTED')]);
      const tls = await curl(`https://${host}:${admin.port}/api/v1/status`, [
        ...through(daemon),
        '-H',
        `Authorization: Bearer ${daemon.token}`,
      ]);
      expect([tls.status, tls.body], host).toEqual([508, expect.stringContaining('LOOP_DETECTED')]);
    }
  });

  test('over a UNIX socket as well, for the API and the command line', async () => {
    const path = join(temporaryDirectory(), 'admin.sock');
    const other = await startDaemon({ settings: `admin: unix:${path}\n`, args: ['--admin', `unix:${path}`] });
    try {
      expect(other.admin).toBe(`unix:${path}`);
      const answer = await raw(path, '/api/v1/status', { host: 'unix', authorization: `Bearer ${other.token}` });
      expect(answer.status).toBe(200);
      expect((await raw(path, '/api/v1/status', { host: 'unix' })).status).toBe(401);
      const set = await runMtlsd(['verification', 'set', 'report', '--home', other.home]);
      expect(set).toMatchObject({ code: 0, stdout: 'verification is now report\n' });
      expect(other.log.find(({ event }) => event === 'admin')).toMatchObject({ action: 'refused', client: 'unix' });
      expect(await other.event('admin', ({ who }) => who === 'cli')).toMatchObject({
        action: 'verification.changed',
        client: 'unix',
      });
    } finally {
      await other.stop();
    }
  });
});
