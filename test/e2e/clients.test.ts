import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type H2Origin, h2Origin } from '../support/h2-origin.ts';
import { createPki } from '../support/pki.ts';
import { hasTool } from '../support/tools.ts';

const BODY = Buffer.alloc(300_000, 'a body that is compared by its hash; ');
const SHA256 = createHash('sha256').update(BODY).digest('hex');

/** Real clients, set up as their users do, against an origin that takes only clients with a certificate. */
describe('clients', () => {
  const files = temporaryDirectory();
  let daemon: RunningDaemon;
  let origin: H2Origin;
  let url: string;

  beforeAll(async () => {
    const pki = await createPki();
    const root = await pki.root();
    root.write(files, 'root');
    writeFileSync(join(files, 'body'), BODY);
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(files, 'alice');
    const server = await root.issue({ cn: 'api.example', sans: ['api.example'] });
    origin = await h2Origin(
      {
        key: server.keyPem,
        cert: server.chainPem,
        ca: root.certPem,
        requestCert: true,
        rejectUnauthorized: true,
        allowHTTP1: true,
      },
      null,
    );
    origin.server.on('request', (request, response) => {
      if (request.url === '/page') {
        response.setHeader('content-type', 'text/html');
        response.end(`<!doctype html><title>page</title><script>
          (async () => {
            const posted = await (await fetch('/post', { method: 'POST', body: 'x'.repeat(300000) })).json();
            const socket = new WebSocket('wss://' + location.host + '/ws');
            socket.onopen = () => socket.send('hello');
            const echoed = await new Promise((resolve) => { socket.onmessage = (event) => resolve(event.data); });
            document.title = JSON.stringify({ ...posted, echoed });
          })();
        </script>`);
        return;
      }
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => hash.update(chunk));
      request.on('end', () => {
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ method: request.method, version: request.httpVersion, sha256: hash.digest('hex') }),
        );
      });
    });
    const sockets = new WebSocketServer({ noServer: true });
    origin.server.on('upgrade', (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (ws) => ws.on('message', (data) => ws.send(data.toString()))),
    );
    daemon = await startDaemon({
      store: `version: 1
certificates: [{ name: alice, host: api.example, port: "*", cert: ${files}/alice.crt, key: ${files}/alice.key }]
trust: { system: false, ca: [${files}/root.crt] }
interception: { unmatched: refuse } # a browser calls its maker's servers too; nothing here leaves this machine
`,
      settings: 'connect_to: { api.example: 127.0.0.1 }\n',
    });
    url = `https://api.example:${origin.port}`;
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), origin.close()]);
  });

  /** The environment that a user exports; nothing of this machine's own proxy settings. */
  const env = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => {
    const {
      HTTPS_PROXY: _1,
      https_proxy: _2,
      NO_PROXY: _3,
      no_proxy: _4,
      HTTP_PROXY: _5,
      http_proxy: _6,
      ...rest
    } = process.env;
    return { ...rest, HTTPS_PROXY: daemon.proxy, https_proxy: daemon.proxy, ...more };
  };

  function run(
    command: string,
    args: string[],
    more: NodeJS.ProcessEnv = {},
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = spawn(command, args, { env: env(more), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  }

  test.each([
    ['--http1.1', '1.1'],
    ['--http2', '2.0'],
  ])('curl %s', async (flag, version) => {
    const result = await curl(`${url}/`, [...through(daemon), flag, '--data-binary', `@${files}/body`]);
    expect(result.json()).toEqual({ method: 'POST', version, sha256: SHA256 });
  });

  test('Node fetch', async () => {
    const script = `const r = await fetch(process.argv[1], { method: 'PUT', body: require('fs').readFileSync(process.argv[2]) }); console.log(await r.text());`;
    const { stdout, stderr } = await run(
      process.execPath,
      ['--input-type=commonjs', '-e', `(async () => {${script}})()`, `${url}/`, `${files}/body`],
      {
        NODE_USE_ENV_PROXY: '1',
        NODE_EXTRA_CA_CERTS: daemon.caFile,
      },
    );
    expect(stderr).not.toContain('Error');
    expect(JSON.parse(stdout)).toMatchObject({ method: 'PUT', sha256: SHA256 });
  });

  test.runIf(hasTool('wget'))('wget', async () => {
    const { stdout, stderr } = await run('wget', [
      '-qO-',
      `--ca-certificate=${daemon.caFile}`,
      `--post-file=${files}/body`,
      `${url}/`,
    ]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ method: 'POST', version: '1.1', sha256: SHA256 });
  });

  test.runIf(hasPython('urllib.request'))('Python urllib', async () => {
    const script = `import sys, ssl, urllib.request as u
print(u.urlopen(u.Request(sys.argv[1], data=open(sys.argv[2], 'rb').read()), context=ssl.create_default_context(cafile=sys.argv[3])).read().decode())`;
    const { stdout, stderr } = await run('python3', ['-c', script, `${url}/`, `${files}/body`, daemon.caFile]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ method: 'POST', version: '1.1', sha256: SHA256 });
  });

  test.runIf(hasPython('requests'))('Python requests', async () => {
    const script = `import sys, requests
s = requests.Session()
for i in range(3):
    r = s.post(sys.argv[1], data=open(sys.argv[2], 'rb'))
print(r.text)`;
    const { stdout, stderr } = await run('python3', ['-W', 'ignore', '-c', script, `${url}/`, `${files}/body`], {
      REQUESTS_CA_BUNDLE: daemon.caFile,
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ method: 'POST', version: '1.1', sha256: SHA256 });
  });

  test.runIf(hasTool('chromium') && hasTool('certutil'))(
    'Chromium: a page, a fetch and a WebSocket, the local CA in its store',
    async () => {
      const home = temporaryDirectory();
      const database = join(home, '.pki/nssdb');
      mkdirSync(database, { recursive: true });
      execFileSync('certutil', ['-d', `sql:${database}`, '-N', '--empty-password']);
      execFileSync('certutil', ['-d', `sql:${database}`, '-A', '-t', 'C,,', '-n', 'mtlsd', '-i', daemon.caFile]);
      const browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
        proxy: { server: daemon.proxy },
        env: { ...process.env, HOME: home },
      });
      try {
        const page = await browser.newPage();
        await page.goto(`${url}/page`);
        await page.waitForFunction(() =>
          (globalThis as unknown as { document: { title: string } }).document.title.startsWith('{'),
        );
        expect(JSON.parse(await page.title())).toEqual({
          method: 'POST',
          version: '2.0',
          sha256: createHash('sha256').update('x'.repeat(300_000)).digest('hex'),
          echoed: 'hello',
        });
      } finally {
        await browser.close();
      }
      expect(await daemon.event('exchange', (line) => line.path === '/page')).toMatchObject({
        http: '2',
        certificate: 'alice',
        status: 200,
      });
      expect(await daemon.event('exchange', (line) => line.path === '/ws')).toMatchObject({
        certificate: 'alice',
        error: null,
      });
    },
  );

  test('a client that does not trust the local CA has a code of its own in the log', async () => {
    const result = await curl(`${url}/`, ['--proxy', daemon.proxy]);
    expect(result.exit).toBe(60);
    expect(await daemon.event('proxy.refused', (line) => line.code === 'CLIENT_TLS_FAILED')).toMatchObject({
      message: expect.stringContaining('does not trust the local CA'),
      hint: expect.stringContaining('mtlsd env'),
    });
  });

  test('no client sees an unexpected line in the log', () => {
    const odd = daemon.log.filter(
      ({ level, event, authority, error }) =>
        level === 'error' || (event === 'exchange' && authority === `api.example:${origin.port}` && error !== null),
    );
    expect(odd).toEqual([]);
    expect(readFileSync(daemon.caFile, 'utf8')).toContain('BEGIN CERTIFICATE');
  });
});

function hasPython(module: string): boolean {
  if (!hasTool('python3')) return false;
  try {
    execFileSync('python3', ['-c', `import ${module}`], { stdio: 'ignore' });
    return true;
  } catch {
    if (process.env.MTLSD_TEST_ALL)
      throw new Error(`Python's ${module} is not installed, and MTLSD_TEST_ALL asks for every test`);
    process.stderr.write(`left out: a test that needs Python's ${module}\n`);
    return false;
  }
}
