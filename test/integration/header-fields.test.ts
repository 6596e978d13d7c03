/** Header fields of exchanges: off by default, without secrets where asked for, with them where asked for twice. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatusAnswer } from '../../src/admin/routes/status.ts';
import type { ExchangeFields } from '../../src/admin/schemas/records.ts';
import type { Har } from '../../src/inspect/records/har.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import { mistakesInHar } from '../support/har-schema.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { throughTunnel } from '../support/tunnel.ts';

const SENT = {
  Authorization: 'Bearer canary-authorization',
  Cookie: 'session=canary-cookie; theme=canary-theme',
  'X-Api-Key': 'canary-api-key',
  'X-Vault-Token': 'canary-vault',
  'x-client-SECRET': 'canary-secret',
  'X-Password': 'canary-password',
  'Proxy-Authorization': 'Basic canary-proxy',
  'X-Plain': 'Bearer canary-under-another-name',
  Referer: 'https://me:canary-user@other.example/page?code=canary-code',
};
const ANSWERED = {
  'Set-Cookie': 'sid=canary-set-cookie; Path=/; HttpOnly; Expires=Wed, 01 Jan 2031 00:00:00 GMT',
  Location: '/next?access_token=canary-location#id_token=canary-fragment',
  'X-CSRF-Token': 'canary-csrf',
};
const CANARY = /canary-[a-z-]+/g;

const sceneOf = (settings: string): Promise<Scene> =>
  createScene({
    settings,
    handler: (request, response) => {
      request.resume();
      if (request.url?.startsWith('/plain')) return void response.end();
      response.writeHead(302, 'Elsewhere', { ...ANSWERED, 'Content-Type': 'application/problem+json; charset=utf-8' });
      response.end('{}');
    },
  });

const FIELDS = Object.entries(SENT).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);

/** All that the API, the log and the command line show without a request for secrets. */
async function everythingTold(daemon: RunningDaemon, exchange: string): Promise<string> {
  const events = await openEvents(daemon, '?last=100');
  const told: string[] = [];
  for (let found = false; !found; ) {
    const event = await events.next();
    told.push(JSON.stringify(event));
    found = event.event === 'exchange' && event.data.exchange === exchange;
  }
  events.close();
  for (const path of ['exchanges', `exchanges/${exchange}`, `exchanges/${exchange}/fields`, 'export.har', 'status'])
    told.push(await (await daemon.api(`/api/v1/${path}`)).text());
  for (const args of [['har'], ['show', exchange], ['show', exchange, '--fields'], ['tail', '--no-follow', '--json']])
    told.push((await runMtlsd([...args, '--home', daemon.home])).stdout);
  return [...told, ...daemon.log.map((line) => JSON.stringify(line)), daemon.stderr()].join('\n');
}

const KEPT = ['redacted', 'all'] as const;
const POLICIES = ['none', ...KEPT] as const;
type Policy = (typeof POLICIES)[number];

describe('records.fields', () => {
  const scenes = new Map<Policy, Scene & { readonly exchange: string }>();

  beforeAll(async () => {
    for (const policy of POLICIES) {
      // none is what holds without a word of it.
      const scene = await sceneOf(policy === 'none' ? '' : `records: { fields: ${policy} }\n`);
      await curl(`${scene.origin.url}/go?token=canary-query`, [...through(scene.daemon), '--http1.1', ...FIELDS]);
      const { exchange } = await scene.daemon.event('exchange');
      scenes.set(policy, { ...scene, exchange: exchange as string });
    }
  });
  afterAll(() => Promise.all([...scenes.values()].map((scene) => scene.close())));

  const on = (policy: Policy) => {
    const scene = scenes.get(policy) as Scene & { readonly exchange: string };
    const mtlsd = (...args: string[]) => runMtlsd([...args, '--home', scene.daemon.home]);
    const har = async () => JSON.parse((await mtlsd('har')).stdout) as Har;
    const entryOf = async (id: unknown) => (await har()).log.entries.find(({ _exchange }) => _exchange === id);
    return { ...scene, mtlsd, har, entryOf };
  };

  test.each(POLICIES)('%s: no secret is shown without a request for it', async (policy) => {
    const { daemon, exchange, origin } = on(policy);
    const told = await everythingTold(daemon, exchange);
    expect(told.match(CANARY)).toBeNull();
    expect(told.includes('[redacted]')).toBe(policy !== 'none');
    // What the origin got is what the client sent.
    expect(origin.seen[0]?.fields).toContain(SENT.Authorization);
  });

  test.each(POLICIES)('%s: neither log nor lists hold header fields', async (policy) => {
    const { daemon, exchange } = on(policy);
    const lists = await Promise.all(
      ['exchanges', `exchanges/${exchange}`].map(async (path) => (await daemon.api(`/api/v1/${path}`)).text()),
    );
    for (const text of [...lists, ...daemon.log.map((line) => JSON.stringify(line))])
      expect(text).not.toMatch(/x-plain|problem\+json/i);
  });

  test.each(POLICIES)('%s: the archive is HAR 1.2', async (policy) => {
    expect(mistakesInHar(await on(policy).har())).toEqual([]);
    // The check would find what is missing.
    expect(mistakesInHar({ log: { version: '1.2', creator: { name: 'x', version: '1' } } })).not.toEqual([]);
  });

  test('none is the default, and keeps none', async () => {
    const { har, daemon, exchange, mtlsd } = on('none');
    const { log } = await har();
    expect(log.comment).toBe('no header fields: records.fields in mtlsd.yaml is none');
    expect(log.entries[0]).toMatchObject({
      request: { headers: [], cookies: [], headersSize: -1 },
      response: { status: 302, headers: [], content: { mimeType: 'x-unknown' }, redirectURL: '' },
    });
    const answer = await daemon.api(`/api/v1/exchanges/${exchange}/fields`);
    expect(await answer.json()).toEqual({ kept: 'none', request: null, response: null });
    expect((await mtlsd('show', exchange, '--fields')).stdout).toContain(
      'no header fields are kept for this exchange\n  next: set records.fields to redacted in mtlsd.yaml',
    );
  });

  test.each(KEPT)('%s: the archive has the fields as received, media type and sizes', async (policy) => {
    const { entryOf, exchange, origin } = on(policy);
    const entry = await entryOf(exchange);
    expect(entry?.request.headers).toEqual(
      expect.arrayContaining([
        { name: 'Accept', value: '*/*' },
        { name: 'Authorization', value: '[redacted]' },
        { name: 'x-client-SECRET', value: '[redacted]' },
        { name: 'Referer', value: 'https://other.example/page?[redacted]' },
      ]),
    );
    expect(entry?.request.headers[0]).toEqual({ name: 'Host', value: `localhost:${origin.port}` });
    expect(entry?.request).toMatchObject({ queryString: [], cookies: [] });
    expect(entry?.request.headersSize).toBeGreaterThan(200);
    expect(entry?.response).toMatchObject({
      status: 302,
      statusText: 'Found',
      redirectURL: '/next?[redacted]',
      content: { size: 2, mimeType: 'application/problem+json; charset=utf-8' },
      cookies: [],
    });
    expect(entry?.response.headersSize).toBeGreaterThan(200);
  });

  test.each(KEPT)('%s: show --fields shows them line by line', async (policy) => {
    const { mtlsd, exchange } = on(policy);
    const { stdout } = await mtlsd('show', exchange, '--fields');
    expect(stdout).toMatch(/\n> Host: localhost:\d+\n> User-Agent: curl/);
    expect(stdout).toContain('\n> Cookie: [redacted]\n');
    expect(stdout).toContain('\n< Content-Type: application/problem+json; charset=utf-8\n');
    expect(JSON.parse((await mtlsd('show', exchange, '--fields', '--json')).stdout)).toMatchObject({
      exchange,
      fields: { kept: policy },
    });
  });

  test('an answer of the daemon itself is there too', async () => {
    const { daemon, origin, entryOf } = on('redacted');
    await curl(`${origin.url}/own`, [...through(daemon), '-H', 'Mtlsd-Certificate: none']);
    const { exchange } = await daemon.event('exchange', ({ path }) => path === '/own');
    expect((await entryOf(exchange))?.response).toMatchObject({
      status: 502,
      content: { mimeType: 'text/plain; charset=utf-8' },
    });
  });

  test('HTTP/2 as well, without sizes', async () => {
    const { daemon, origin, entryOf } = on('redacted');
    await curl(`${origin.url}/h2`, [...through(daemon), '--http2', '-H', 'X-Token: canary-h2']);
    const { exchange } = await daemon.event('exchange', ({ path }) => path === '/h2');
    const request = (await entryOf(exchange))?.request;
    expect(request?.headers).toEqual(expect.arrayContaining([{ name: 'x-token', value: '[redacted]' }]));
    expect(request?.headersSize).toBe(-1);
  });

  test('all: --with-secrets keeps them, in a file for its owner alone, and the log says so', async () => {
    const { daemon, mtlsd, exchange } = on('all');
    const file = join(temporaryDirectory(), 'all.har');
    const { stdout, code } = await mtlsd('har', '--with-secrets', '--out', file);
    expect([code, stdout]).toEqual([0, expect.stringContaining('holds the secrets of requests and responses')]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const archive = JSON.parse(readFileSync(file, 'utf8')) as Har;
    expect(mistakesInHar(archive)).toEqual([]);
    const entry = archive.log.entries.find(({ _exchange }) => _exchange === exchange);
    expect(new Set(JSON.stringify(entry).match(CANARY))).toEqual(
      new Set(JSON.stringify([SENT, ANSWERED]).match(CANARY)),
    );
    expect(entry?.request.cookies).toEqual([
      { name: 'session', value: 'canary-cookie' },
      { name: 'theme', value: 'canary-theme' },
    ]);
    const expires = '2031-01-01T00:00:00.000Z';
    expect(entry?.response.cookies).toEqual([
      { name: 'sid', value: 'canary-set-cookie', path: '/', expires, httpOnly: true, secure: false },
    ]);
    await daemon.event('admin', ({ action, who }) => action === 'secrets.exported' && who === 'cli');
    expect(await mtlsd('har', '--out', file)).toMatchObject({
      code: 1,
      stderr: `mtlsd: ${file} is there already\nnext: give another name with --out FILE\n`,
    });
    const shown = await mtlsd('show', exchange, '--fields', '--with-secrets');
    expect(shown.stdout).toContain(`> Cookie: ${SENT.Cookie}`);
    await daemon.event('admin', (line) => line.action === 'secrets.shown' && line.exchange === exchange);
  });

  test('all: the log warns at start', async () => {
    const { message } = await on('all').daemon.event('daemon.warning');
    expect(message).toContain('records.fields is all');
  });

  test.each(['none', 'redacted'] as const)('%s: --with-secrets says that there are none', async (policy) => {
    const { mtlsd, exchange, daemon } = on(policy);
    const stderr = `mtlsd: no secret values are kept: records.fields is ${policy}\nnext: set records.fields to all in mtlsd.yaml, restart the daemon and repeat the requests; or leave out --with-secrets\n`;
    expect(await mtlsd('har', '--with-secrets')).toEqual({ code: 1, stdout: '', stderr });
    expect(await mtlsd('show', exchange, '--fields', '--with-secrets')).toMatchObject({ code: 1, stderr });
    const refusal = await daemon.api('/api/v1/export.har?with_secrets=true');
    expect([refusal.status, await refusal.json()]).toMatchObject([409, { code: 'NOT_RECORDED' }]);
    expect((await daemon.api(`/api/v1/exchanges/${exchange}/fields?with_secrets=true`)).status).toBe(409);
  });
});

describe('records.fields with large heads', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await sceneOf('records: { fields: redacted }\nlimits: { record_bytes: 200000 }\n');
  });
  afterAll(() => scene.close());

  test('what exceeds 16 KiB of a head is left out, and the memory of all stays bounded', async () => {
    const { daemon, origin } = scene;
    const large = ['-H', `X-Large: ${'x'.repeat(9000)}`, '-H', `X-Larger: ${'y'.repeat(9000)}`, '-H', 'X-Last: z'];
    const urls = Array.from({ length: 60 }, (_, i) => `${origin.url}/plain/${i}`);
    await curl(urls.at(-1) ?? '', [...through(daemon), '--http1.1', ...large, ...urls.slice(0, -1)]);
    const last = await daemon.event('exchange', ({ path }) => path === '/plain/59');
    const status = (await (await daemon.api('/api/v1/status')).json()) as StatusAnswer;
    expect(status.records.bytes).toBeLessThanOrEqual(200_000);
    // With the fields not counted, all sixty would be there.
    expect(status.records.exchanges).toBeLessThan(25);
    expect(status.records.exchanges).toBeGreaterThan(10);
    const answer = await daemon.api(`/api/v1/exchanges/${last.exchange}/fields`);
    const { request } = (await answer.json()) as ExchangeFields;
    expect(request?.omitted).toBe(1);
    expect(request?.fields.map(({ name }) => name)).toEqual(['Host', 'User-Agent', 'Accept', 'X-Large', 'X-Last']);
    const archive = (await (await daemon.api('/api/v1/export.har')).json()) as Har;
    expect(archive.log.entries.at(-1)?.request).toMatchObject({ _omittedFields: 1 });
  });

  test('headersSize is that of the wire', async () => {
    const { daemon, origin } = scene;
    const head = `GET /plain/raw?a=1 HTTP/1.1\r\nHost: localhost:${origin.port}\r\nX-One: two\r\nConnection: close\r\n\r\n`;
    const socket = await throughTunnel(daemon, `localhost:${origin.port}`);
    const ended = new Promise((resolve) => socket.on('close', resolve));
    socket.resume().write(head);
    await ended;
    const { exchange } = await daemon.event('exchange', ({ path }) => path === '/plain/raw');
    const archive = (await (await daemon.api('/api/v1/export.har')).json()) as Har;
    const entry = archive.log.entries.find(({ _exchange }) => _exchange === exchange);
    expect(entry?.request.headersSize).toBe(head.length);
  });
});
