import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OWN_NAME } from '../../src/core/own-name.ts';
import { OWN_ANSWER } from '../../src/proxy/own-name.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';

describe('the name that only the proxy answers', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    // Even where every other host is refused or passed through.
    daemon = await startDaemon({
      store: `version: 1\ninterception: { unmatched: refuse, passthrough: ["*.test"] }\n`,
    });
  });
  afterAll(() => daemon.stop());

  test.each(['--http1.1', '--http2'])('answers over https with a leaf of the local CA (%s)', async (version) => {
    const result = await curl(`https://${OWN_NAME}/`, [...through(daemon), version]);
    expect(result).toMatchObject({ exit: 0, status: 200 });
    expect(result.body).toContain(OWN_ANSWER);
  });

  test('answers one path, to GET and HEAD alone, and does not read bodies', async () => {
    expect(await curl(`https://${OWN_NAME}/other`, through(daemon))).toMatchObject({ status: 404 });
    expect(await curl(`https://${OWN_NAME}/`, [...through(daemon), '-d', 'x=1'])).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
    expect(await curl(`https://${OWN_NAME}/`, [...through(daemon), '--head'])).toMatchObject({ status: 200, body: '' });
  });

  test('is no exchange', async () => {
    const { exchanges } = (await (await daemon.api('/api/v1/exchanges')).json()) as { exchanges: unknown[] };
    expect(exchanges).toEqual([]);
  });

  test('has no certificate for a client that does not trust the local CA', async () => {
    expect(await curl(`https://${OWN_NAME}/`, ['--proxy', daemon.proxy])).toMatchObject({ exit: 60 });
  });
});

describe('over plain HTTP, for a browser that does not trust the CA yet', () => {
  const browser = ['--header', 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'];
  let daemon: RunningDaemon;
  let ca: X509Certificate;
  beforeAll(async () => {
    daemon = await startDaemon({ store: 'version: 1\ninterception: { unmatched: refuse }\n' });
    ca = new X509Certificate(readFileSync(daemon.caFile));
  });
  afterAll(() => daemon.stop());
  const get = (path: string, more: readonly string[] = []) =>
    curl(`http://${OWN_NAME}${path}`, ['--proxy', daemon.proxy, ...more]);

  test('a page with the fingerprint of the CA, that runs no script but its own', async () => {
    const page = await get('/', browser);
    expect(page).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', vary: 'Accept' },
    });
    expect(page.headers['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'sha256-[^']+'; connect-src https:\/\/mtlsd\.test; /,
    );
    expect(page.body).toContain(ca.fingerprint256);
    expect(page.body).toContain(OWN_ANSWER);
    expect(page.body).not.toMatch(/<script>| style=| on[a-z]+=/);
    expect((await get('/check.js')).headers['content-type']).toBe('text/javascript; charset=utf-8');
    expect(await get('/', [...browser, '--head'])).toMatchObject({ status: 200, body: '' });
  });

  test('the line that doctor looks for, for programs', async () => {
    for (const more of [[], ['--header', 'Accept:']])
      expect(await get('/', more)).toMatchObject({
        body: `${OWN_ANSWER}\n`,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      });
  });

  test('the CA as each platform takes it, and each file that the page names', async () => {
    const { body: page } = await get('/', browser);
    const named = [...page.matchAll(/href="([^"]+)"/g)].map(([, path = '']) => path);
    expect([...new Set(named)].sort()).toEqual([
      '/mtlsd-ca.cer',
      '/mtlsd-ca.crt',
      '/mtlsd-ca.mobileconfig',
      '/mtlsd-ca.pem',
    ]);
    const pem = await get('/mtlsd-ca.pem');
    expect(pem).toMatchObject({ headers: { 'content-type': 'application/x-pem-file' }, body: ca.toString() });
    for (const path of ['/mtlsd-ca.crt', '/mtlsd-ca.cer']) {
      const file = join(daemon.home, 'downloaded.crt');
      expect(await get(path, ['--head'])).toMatchObject({ headers: { 'content-type': 'application/x-x509-ca-cert' } });
      execFileSync('curl', ['-sS', '--proxy', daemon.proxy, '-o', file, `http://${OWN_NAME}${path}`]);
      expect(readFileSync(file).equals(ca.raw), path).toBe(true);
    }
    const profile = await get('/mtlsd-ca.mobileconfig');
    expect(profile.headers['content-type']).toBe('application/x-apple-aspen-config');
    const [, data = ''] = /<data>([^<]+)<\/data>/.exec(profile.body) ?? [];
    expect(new X509Certificate(Buffer.from(data, 'base64')).fingerprint256).toBe(ca.fingerprint256);
  });

  test('nothing else, and nothing of it over https', async () => {
    for (const path of ['/ca.key', '/mtlsd-ca.key', '/index.html', '/check.js/', '/../admin.token', '/api/v1/status'])
      expect((await get(path, browser)).status, path).toBe(404);
    expect(await get('/mtlsd-ca.pem', ['-d', 'x=1'])).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    for (const path of ['/mtlsd-ca.pem', '/check.js'])
      expect((await curl(`https://${OWN_NAME}${path}`, [...through(daemon), ...browser])).status, path).toBe(404);
    expect((await curl(`https://${OWN_NAME}/`, [...through(daemon), ...browser])).body).toBe(`${OWN_ANSWER}\n`);
  });
});
