import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { createCode } from '../support/page.ts';

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** Signing in as browsers do it, each field as measured, and as nothing that a browser would let one send. */
describe('signing in to the page', () => {
  let daemon: RunningDaemon;
  let admin: URL;

  beforeAll(async () => {
    daemon = await startDaemon();
    admin = new URL(daemon.admin);
  });
  afterAll(() => daemon.stop());

  function send(method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: admin.hostname, port: admin.port, method, path, headers, agent: false },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
          response.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Resolves once the first bytes are there; `ended` when the daemon has ended it. */
  function openStream(headers: Record<string, string>): Promise<{ ended: Promise<void> }> {
    return new Promise((resolve, reject) => {
      const place = { host: admin.hostname, port: admin.port, path: '/api/v1/events', headers, agent: false };
      const sent = request(place, (response) => {
        const ended = new Promise<void>((end) => response.on('close', end));
        response.on('error', () => {}); // cut off, as it should be
        response.once('data', () => resolve({ ended }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
  const FILE = { ...FORM, origin: 'null', 'sec-fetch-site': 'cross-site', accept: 'text/html' };
  const post = (headers: Record<string, string>, secret: string) =>
    send('POST', '/login', headers, new URLSearchParams({ secret }).toString());
  const own = (): Record<string, string> => ({ origin: admin.origin, 'sec-fetch-site': 'same-origin' });
  const cookieOf = ({ headers }: Answer): string => String(headers['set-cookie']).split(';')[0] ?? '';
  const session = async (): Promise<string> => cookieOf(await post({ ...FORM, ...own() }, await createCode(daemon)));

  test('the form of a file: a code, a cookie with the port in its name, and a page that goes on by itself', async () => {
    const answer = await post(FILE, await createCode(daemon));
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']).toEqual([
      expect.stringMatching(new RegExp(`^mtlsd-session-${admin.port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`)),
    ]);
    // A redirect would lose a SameSite=Strict cookie.
    expect(answer.headers.location).toBeUndefined();
    expect(answer.body).toContain('<meta http-equiv="refresh" content="0;url=/">');
    expect(answer.body).not.toContain('<script');
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'");
    const status = await send('GET', '/api/v1/status', { cookie: cookieOf(answer), 'sec-fetch-site': 'same-origin' });
    expect(status.status).toBe(200);
  });

  test('a wrong code, and the token in a file, are refused', async () => {
    for (const secret of ['wrong', daemon.token]) {
      const answer = await post(FILE, secret);
      expect([answer.status, answer.headers['set-cookie']]).toEqual([401, undefined]);
      expect(answer.body).toContain('un mtlsd ui again');
    }
    expect((await post({ ...FORM, ...own() }, daemon.token)).status).toBe(204);
  });

  test('no other origin signs in, and null is taken by no other route', async () => {
    for (const origin of ['https://evil.example', `http://127.0.0.1:1`, `https://${admin.host}`]) {
      const answer = await post({ ...FORM, origin, 'sec-fetch-site': 'cross-site' }, await createCode(daemon));
      expect([answer.status, answer.headers['set-cookie']], origin).toEqual([403, undefined]);
    }
    // A form of a page that hides its origin still has the site.
    const hidden = await post({ ...FORM, 'sec-fetch-site': 'same-site' }, await createCode(daemon));
    expect([hidden.status, hidden.headers['set-cookie']]).toEqual([403, undefined]);
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/login'],
      ['POST', '/login?x'],
      ['GET', '/healthz'],
      ['POST', '/api/v1/session/codes'],
    ] as const) {
      const answer = await send(method, path, { origin: 'null', authorization: `Bearer ${daemon.token}` });
      expect(answer.status, path).toBe(403);
    }
  });

  test('a session is no use without the fields that only the own page has', async () => {
    const cookie = await session();
    const json = { 'content-type': 'application/json' };
    for (const site of [undefined, 'cross-site', 'same-site', 'none']) {
      const headers = { cookie, ...(site && { 'sec-fetch-site': site }) };
      expect((await send('GET', '/api/v1/status', headers)).status, site).toBe(403);
      expect(
        (await send('PUT', '/api/v1/verification', { ...headers, ...json, origin: admin.origin }, '{"mode":"report"}'))
          .status,
        site,
      ).toBe(403);
    }
    const site = { cookie, 'sec-fetch-site': 'same-origin' };
    // A change needs its origin as well.
    expect((await send('PUT', '/api/v1/verification', { ...site, ...json }, '{"mode":"report"}')).status).toBe(403);
    for (const origin of ['http://127.0.0.1:1', 'null'])
      expect((await send('PUT', '/api/v1/verification', { ...site, ...json, origin }, '{}')).status, origin).toBe(403);
    expect(await (await daemon.api('/api/v1/verification')).json()).toMatchObject({ mode: 'enforce' });
    const changed = await send(
      'PUT',
      '/api/v1/verification',
      { ...site, ...json, origin: admin.origin },
      '{"mode":"enforce"}',
    );
    expect(changed.status).toBe(200);
    expect(await daemon.event('admin', ({ action }) => action === 'verification.changed')).toMatchObject({
      who: 'page',
    });
  });

  test('a session makes no codes, and ends on sign-out with its stream of events', async () => {
    const cookie = await session();
    const headers = { cookie, ...own() };
    expect((await send('POST', '/api/v1/session/codes', headers)).status).toBe(403);
    const stream = await openStream(headers);
    expect((await send('DELETE', '/api/v1/session', headers)).status).toBe(204);
    await stream.ended;
    expect((await send('GET', '/api/v1/status', headers)).status).toBe(401);
  });

  test('guesses are limited for files and for the page apart', async () => {
    const other = await startDaemon();
    try {
      const url = new URL(other.admin);
      const guess = (origin: string) =>
        fetch(`${other.admin}/login`, {
          method: 'POST',
          headers: { ...FORM, origin },
          body: 'secret=guess',
        });
      const statuses = [];
      for (let count = 0; count < 12; count++) statuses.push((await guess('null')).status);
      expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429]);
      expect(Number((await guess('null')).headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await guess(url.origin)).status).toBe(401);
    } finally {
      await other.stop();
    }
  });

  test('the page and its assets are open, strict, and come from nowhere else', async () => {
    const page = await send('GET', '/?screen=trust');
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers).toMatchObject({ 'x-frame-options': 'DENY', 'cross-origin-resource-policy': 'same-origin' });
    const policy = String(page.headers['content-security-policy']);
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'self'",
    ])
      expect(policy.split('; ')).toContain(part);
    expect(policy).not.toContain('unsafe');
    expect(page.body).not.toMatch(/<script(?![^>]* src=)|<style|style=|\son\w+=/);
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => path);
    expect(assets.length).toBeGreaterThanOrEqual(3);
    for (const path of assets) {
      expect(path).toMatch(/^\/assets\//);
      expect((await send('GET', path)).status, path).toBe(200);
    }
    for (const path of [
      '/assets/',
      '/assets/../index.html',
      '/assets/..%2findex.html',
      '/assets/%2e%2e%2f%2e%2e%2fpackage.json',
      '/assets/x.js',
      '/assets/LICENCES.md',
      '/assets/.vite',
    ])
      expect((await send('GET', path)).status, path).toBeGreaterThanOrEqual(400);
  });

  test('all that a browser loads is at most 60 KB compressed', async () => {
    const { gzipSync } = await import('node:zlib');
    const page = await send('GET', '/');
    const bodies = [page.body];
    for (const [, path = ''] of page.body.matchAll(/(?:src|href)="([^"]+)"/g))
      bodies.push((await send('GET', path)).body);
    const bytes = bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
    expect(bytes).toBeLessThan(60_000);
    expect(bytes).toBeGreaterThan(10_000);
  });

  test('no code, cookie or token is in the log', async () => {
    const code = await createCode(daemon);
    const cookie = cookieOf(await post(FILE, code)).split('=')[1] ?? '?';
    await post(FILE, 'my-wrong-guess');
    await daemon.event('admin', ({ action }) => action === 'sign-in.refused');
    const log = JSON.stringify(daemon.log);
    for (const secret of [code, cookie, daemon.token, 'my-wrong-guess']) expect(log).not.toContain(secret);
  });

  test('mtlsd ui: the file is for its user alone, its form signs in, and it is opened by what opens files', async () => {
    const tools = temporaryDirectory();
    const opened = join(tools, 'opened');
    writeFileSync(join(tools, 'xdg-open'), `#!/bin/sh\necho "$1" > ${opened}\n`, { mode: 0o755 });
    const env = { PATH: `${tools}:${process.env.PATH}`, DISPLAY: ':0' };
    const ui = await runMtlsd(['ui', '--home', daemon.home], env);
    expect(ui.code).toBe(0);
    expect(ui.stdout).toContain(`${daemon.admin}/`);
    const code = /code +(\S+)/.exec(ui.stdout)?.[1] ?? '';
    const file = /file +(\S+)/.exec(ui.stdout)?.[1] ?? '';
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const html = readFileSync(file, 'utf8');
    expect(html).toContain(`action="${daemon.admin}/login"`);
    expect(html).toContain('method="post"');
    expect(html).toContain(`value="${code}"`);
    // In no address: those are kept in histories.
    expect(html).not.toContain(`?${code}`);
    expect((await post(FILE, code)).status).toBe(200);
    expect((await post(FILE, code)).status).toBe(401);
    const json = await runMtlsd(['ui', '--home', daemon.home, '--no-open', '--json'], env);
    expect(JSON.parse(json.stdout)).toMatchObject({ url: `${daemon.admin}/`, file: null, opened: false });
  });

  test('mtlsd ui starts nothing by itself', async () => {
    const ui = await runMtlsd(['ui', '--home', temporaryDirectory(), '--no-open']);
    expect(ui).toMatchObject({ code: 1, stdout: '' });
    expect(ui.stderr).toContain('mtlsd start');
  });
});
