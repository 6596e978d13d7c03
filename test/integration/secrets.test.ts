/**
 * Secrets planted in every place where one can be, and then looked for in all that the daemon says: its log, its answers,
 * its records, events, metrics and exports, and what it writes to stderr.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, type CurlResult } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createCode } from '../support/page.ts';
import { type Authority, createPki } from '../support/pki.ts';
import { connectThrough } from '../support/tunnel.ts';

const PLANTED = {
  passphrase: 'canary-passphrase-7f3a',
  'passphrase that is wrong': 'canary-wrong-passphrase-1b2c',
  'passphrase from the environment': 'canary-env-passphrase-55aa',
  'passphrase over the API': 'canary-api-passphrase-90fe',
  'passphrase in a broken file': 'canary-broken-yaml-3c3c',
  'passphrase of the local CA': 'canary-ca-passphrase-6d6d',
  'proxy password': 'canary-proxy-password-e1e1',
  'proxy password that is wrong': 'canary-wrong-password-d2d2',
  'password for an upstream proxy': 'canary-hop-password-f4f4',
  authorization: 'canary-authorization-c3c3',
  cookie: 'canary-cookie-b4b4',
  'cookie of the server': 'canary-set-cookie-a5a5',
  query: 'canary-query-9696',
  body: 'canary-body-8787',
  'admin token that is wrong': 'canary-admin-token-7878-7878-7878',
} as const;

describe.each(['none', 'redacted'])('no secret is shown, with records.fields: %s', (fieldPolicy) => {
  const dir = temporaryDirectory();
  /** Secrets: the texts above, and the keys themselves. */
  const secrets: string[] = [
    ...Object.values(PLANTED),
    // As it is sent.
    btoa(`me:${PLANTED['password for an upstream proxy']}`),
  ];
  /** All answers. */
  const said: string[] = [];
  let root: Authority;
  let origin: Origin;
  let strict: Origin;
  let daemon: RunningDaemon;

  const store = (more = ''): string => `version: 1
certificates:
  - { name: text, host: localhost, port: ${origin.port}, cert: ${dir}/client.crt, key: ${dir}/locked.key, passphrase: ${PLANTED.passphrase} }
  - { name: wrong, host: wrong.test.example, cert: ${dir}/client.crt, key: ${dir}/locked.key, passphrase: ${PLANTED['passphrase that is wrong']} }
  - { name: env, host: env.test.example, cert: ${dir}/client.crt, key: ${dir}/env.key, passphrase: { env: CANARY_PASS } }
trust: { system: false, ca: [${dir}/root.crt] }
${more}`;

  /** Any part of a key's base64, with any line breaks. */
  const plantKey = (pem: string): void => {
    for (const line of pem.split('\n')) if (/^[\w+/]{60,}/.test(line)) secrets.push(line.slice(0, 40));
  };

  beforeAll(async () => {
    root = await (await createPki()).root();
    root.write(dir, 'root');
    const server = await root.issue();
    const client = await root.issue({ cn: 'client', eku: ['clientAuth'] });
    client.write(dir, 'client');
    plantKey(client.keyPem);
    for (const [name, passphrase] of [
      ['locked', PLANTED.passphrase],
      ['env', PLANTED['passphrase from the environment']],
    ] as const) {
      const key = join(dir, `${name}.key`);
      const args = ['-topk8', '-in', `${dir}/client.key`, '-passout', `pass:${passphrase}`, '-out', key];
      execFileSync('openssl', ['pkcs8', ...args]);
      plantKey(readFileSync(key, 'utf8'));
    }
    const tls = { key: server.keyPem, cert: server.certPem, ca: root.certPem };
    origin = await nodeOrigin({ ...tls, requestCert: true, rejectUnauthorized: true }, (request, response) => {
      request.resume();
      response.setHeader('set-cookie', `session=${PLANTED['cookie of the server']}`);
      response.end('fine');
    });
    strict = await nodeOrigin({ ...tls, requestCert: true, rejectUnauthorized: true });
    daemon = await startDaemon({
      store: store(),
      settings: `auth: { password: { env: CANARY_PROXY } }
ca: { passphrase: { command: [printenv, CANARY_CA] } }
records: { fields: ${fieldPolicy} }
upstream_proxy:
  - { url: "http://127.0.0.1:${strict.port}", credentials: { env: CANARY_HOP }, hosts: [hop.test.example] }
`,
      env: {
        CANARY_PASS: PLANTED['passphrase from the environment'],
        CANARY_CA: PLANTED['passphrase of the local CA'],
        CANARY_PROXY: PLANTED['proxy password'],
        CANARY_HOP: `me:${PLANTED['password for an upstream proxy']}`,
      },
      args: ['--log-level', 'debug'],
      secrets,
    });
    secrets.push(daemon.token);
    plantKey(readFileSync(join(daemon.home, 'ca/ca.key'), 'utf8'));
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close(), strict.close()]);
  });

  const proxyAs = (password: string): string[] => [
    '--proxy',
    daemon.proxy.replace('http://', `http://me:${password}@`),
    '--cacert',
    daemon.caFile,
  ];
  const full = [
    ['-H', `Authorization: Bearer ${PLANTED.authorization}`],
    ['-H', `Cookie: session=${PLANTED.cookie}`],
    ['-d', PLANTED.body],
  ].flat();
  const sent = async (url: string, password: string = PLANTED['proxy password']): Promise<CurlResult> =>
    curl(`${url}?token=${PLANTED.query}`, [...proxyAs(password), ...full]);
  const connectAnswer = (target: string): Promise<string> =>
    connectThrough(
      daemon.proxyPort,
      target,
      `Proxy-Authorization: Basic ${btoa(`me:${PLANTED['proxy password']}`)}\r\n`,
    ).then(
      () => 'taken',
      (error: Error) => error.message,
    );
  const api = async (path: string, init?: RequestInit): Promise<number> => {
    const response = await daemon.api(path, init);
    said.push(`${path}: ${JSON.stringify([...response.headers])} ${await response.text()}`);
    return response.status;
  };
  const json = (method: string, body: unknown): RequestInit => ({
    method,
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

  test('in answers to requests that succeed and fail', async () => {
    const events = await openEvents(daemon);
    const good = await sent(`${origin.url}/good`);
    expect([good.status, good.body]).toEqual([200, 'fine']);
    expect(good.headers['set-cookie']).toContain(PLANTED['cookie of the server']);
    for (const [url, status, password] of [
      [`https://wrong.test.example/unusable`, 502],
      [`https://localhost:${strict.port}/required`, 502],
      [`https://127.0.0.1:${origin.port}/refused`, 502],
      ['http://127.0.0.1:1/closed', 502],
      ['https://hop.test.example/hop', 502],
      [`http://localhost:${origin.port}/password`, 407, PLANTED['proxy password that is wrong']],
    ] as const) {
      const result = await sent(url, password);
      expect([url, result.status]).toEqual([url, status]);
      said.push(JSON.stringify(result.headers), result.body);
    }
    // Nothing that asks for CONNECT sends these; a person may type them.
    for (const target of [`me:${PLANTED['proxy password']}@localhost:443`, `localhost:443/?token=${PLANTED.query}`])
      said.push(await connectAnswer(target));
    let event = await events.next();
    for (; event.data.path !== '/refused'; event = await events.next()) said.push(JSON.stringify(event));
    events.close();
  });

  test('in what is said of files that are wrong', async () => {
    const file = join(daemon.home, 'certificates.yaml');
    for (const broken of [
      `  - { host: x, cert: a, passphrase: "${PLANTED['passphrase in a broken file']} }`,
      `certificates: ${PLANTED['passphrase in a broken file']}`,
      `passphrase: ${PLANTED['passphrase in a broken file']}`,
    ]) {
      const from = daemon.log.length;
      writeFileSync(file, `${store()}${broken}\n`);
      await daemon.event('store.rejected', (line) => daemon.log.indexOf(line) >= from);
      expect(await api('/api/v1/status')).toBe(200);
    }
    await daemon.replaceStore(store('# mended\n'));
  });

  test('in the API, for any input', async () => {
    const passphrase = PLANTED['passphrase over the API'];
    const key_pem = readFileSync(join(dir, 'locked.key'), 'utf8');
    const cert_pem = readFileSync(join(dir, 'client.crt'), 'utf8');
    const entry = { host: 'api.test.example', cert_pem, key_pem, passphrase };
    expect(await api('/api/v1/certificates', json('POST', entry))).toBe(422);
    expect(await api('/api/v1/certificates/inspect', json('POST', { cert_pem, key_pem, passphrase }))).toBeLessThan(
      500,
    );
    expect(await api('/api/v1/certificates', json('POST', { ...entry, passphrase: PLANTED.passphrase }))).toBe(201);
    expect(await api('/api/v1/certificates', json('POST', { ...entry, passphrase: { is: passphrase } }))).toBe(400);
    expect(await api('/api/v1/certificates', json('POST', `{"passphrase": "${passphrase}"`))).toBe(400);
    const token = `Bearer ${PLANTED['admin token that is wrong']}`;
    expect(await api('/api/v1/status', { headers: { authorization: token } })).toBe(401);
    expect(await api('/api/v1/ca/rotation', json('POST', { overlap: '1h' }))).toBe(201);
    plantKey(
      readFileSync(join(daemon.home, 'ca/next.pem'), 'utf8').replace(/-----BEGIN CERT[^]+?END CERTIFICATE-----/, ''),
    );
    const probed = await api('/api/v1/probe', json('POST', { authority: `localhost:${origin.port}` }));
    expect(probed).toBe(200);
  });

  test('of who is signed in to the page', async () => {
    const { origin: from } = new URL(daemon.admin);
    const code = await createCode(daemon);
    const login = await fetch(`${daemon.admin}/login`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: from, 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ secret: code }),
    });
    const [cookie = ''] = login.headers.getSetCookie().map((field) => field.split(';')[0] ?? '');
    expect(cookie).toMatch(/=.{20,}/);
    secrets.push(code, cookie.slice(cookie.indexOf('=') + 1));
    for (const [path, status] of [
      ['/api/v1/status', 200],
      ['/api/v1/nowhere', 404],
    ] as const) {
      const answer = await fetch(`${daemon.admin}${path}`, { headers: { cookie, 'sec-fetch-site': 'same-origin' } });
      expect([path, answer.status]).toEqual([path, status]);
      said.push(`${path}: ${JSON.stringify([...answer.headers])} ${await answer.text()}`);
    }
  });

  test('in anything that can be read', async () => {
    const { exchanges } = (await (await daemon.api('/api/v1/exchanges')).json()) as {
      exchanges: { exchange: string; connection: string | null }[];
    };
    expect(exchanges.length).toBeGreaterThan(3);
    const paths = ['certificates', 'verification', 'trust', 'interception', 'exchanges', 'export.har', 'status']
      .map((name) => `/api/v1/${name}`)
      .concat('/metrics', '/openapi.json', '/proxy.pac', '/ca.pem', '/healthz', '/readyz', '/nowhere')
      .concat(['text', 'wrong', 'env'].map((name) => `/api/v1/certificates/${name}`))
      .concat(exchanges.flatMap(({ exchange }) => ['', '/fields'].map((end) => `/api/v1/exchanges/${exchange}${end}`)))
      .concat(exchanges.flatMap(({ connection }) => (connection ? [`/api/v1/connections/${connection}`] : [])))
      .concat(`/api/v1/match?authority=localhost:${origin.port}`);
    for (const path of paths) expect([path, await api(path)]).toEqual([path, expect.any(Number)]);
  });

  test('and so nothing is found', () => {
    const log = daemon.log.map((line) => JSON.stringify(line));
    const shown: [string, readonly string[]][] = [
      ['log', log],
      ['answers', said],
      ['stderr', [daemon.stderr()]],
    ];
    const found = shown.flatMap(([where, texts]) =>
      texts.flatMap((text) => secrets.filter((secret) => text.includes(secret)).map((secret) => [where, secret, text])),
    );
    expect(found).toEqual([]);
    // The search would find them: what was said is there, and so is what is no secret.
    expect(said.join()).toContain('wrong.test.example');
    expect(said.join()).toContain('UPSTREAM_PROXY_FAILED');
    expect(said.join().includes('[redacted]')).toBe(fieldPolicy === 'redacted');
    expect(log.join()).toContain('/required');
    expect(secrets.length).toBeGreaterThan(Object.keys(PLANTED).length + 5);
  });
});
