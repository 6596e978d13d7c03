import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { nodeOrigin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { connectThrough } from '../support/tunnel.ts';

const report = 'version: 1\nverification: { mode: report }\n';

async function slowOrigin() {
  const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
  let release = (): void => {};
  let arrived = (): void => {};
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const origin = await nodeOrigin({ key: keyPem, cert: certPem }, (_request, response) => {
    response.write('first half, ');
    arrived();
    release = () => response.end('second half');
  });
  return { origin, arrival, release: () => release() };
}

describe('start', () => {
  test('daemon.ready and run.json tell the addresses really bound; secrets are readable by their owner alone', async () => {
    const umask = process.umask(0);
    const daemon = await startDaemon({ store: report });
    process.umask(umask);
    const ready = await daemon.event('daemon.ready');
    const run = JSON.parse(readFileSync(join(daemon.home, 'run.json'), 'utf8')) as object;
    expect(run).toEqual({ pid: daemon.process.pid, version: ready.version, proxy: ready.proxy, admin: ready.admin });
    expect(daemon.proxyPort).toBeGreaterThan(0);
    for (const file of ['ca/ca.key', 'admin.token']) expect(statSync(join(daemon.home, file)).mode & 0o777).toBe(0o600);
    expect(statSync(join(daemon.home, 'ca')).mode & 0o777).toBe(0o700);
    expect(await daemon.stop()).toBe(0);
    expect(existsSync(join(daemon.home, 'run.json'))).toBe(false);
  });

  test('a new home is 0700', async () => {
    const home = join(temporaryDirectory(), 'new/home');
    const umask = process.umask(0);
    const daemon = await startDaemon({ home, args: ['--log-level', 'info'] });
    process.umask(umask);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    await daemon.stop();
  });
});

describe('SIGTERM', () => {
  test('lets what is under way finish, takes nothing new, and exits with 0', async () => {
    const { origin, arrival, release } = await slowOrigin();
    const daemon = await startDaemon({ store: report });
    const response = curl(origin.url, [...through(daemon), '--http1.1']);
    await arrival;
    const stopped = daemon.stop();
    await refused(daemon.proxyPort);
    release();
    expect((await response).body).toBe('first half, second half');
    expect(await stopped).toBe(0);
    expect(await daemon.event('daemon.stopped')).toMatchObject({ reason: 'SIGTERM' });
    await origin.close();
  });

  test('ends after the drain time what never finishes', async () => {
    const { origin, arrival } = await slowOrigin();
    const daemon = await startDaemon({ store: report, settings: 'timeouts: { drain: 200ms }\n' });
    const response = curl(origin.url, through(daemon));
    await arrival;
    expect(await daemon.stop()).toBe(0);
    expect((await response).exit).not.toBe(0);
    await origin.close();
  });
});

describe('this daemon’s own ports', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await startDaemon({ store: report, settings: 'connect_to: { alias.example: 127.0.0.1 }\n' });
  });
  afterAll(() => daemon.stop());

  test.each([
    '127.0.0.1',
    '[::1]',
    '0.0.0.0',
    '[::ffff:127.0.0.1]',
    'localhost',
    '127.1',
    '0x7f.0.0.1',
    'alias.example',
  ])('the admin API is not reached through the proxy as %s', async (host) => {
    const port = new URL(daemon.admin).port;
    const result = await curl(`http://${host}:${port}/healthz`, ['--proxy', daemon.proxy]);
    expect([502, 508]).toContain(result.status);
    if (host !== '[::1]') expect(result.headers['proxy-status']).toContain('LOOP_DETECTED'); // ::1 is not listened on here
    // and not by a tunnel: what follows the 200 is not the admin API
    const socket = await connectThrough(daemon.proxyPort, `${host}:${port}`);
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const text = await new Promise<string>((resolve) => {
      let read = '';
      socket.on('data', (chunk: Buffer) => {
        read += chunk.toString();
      });
      socket.on('close', () => resolve(read));
      socket.on('error', () => {});
    });
    expect(text).toBe('');
  });

  test('a request that came through this proxy before gets 508', async () => {
    const via = await new Promise<string>((resolve) => {
      void nodeOriginVia(daemon.proxy, resolve);
    });
    const result = await curl('http://other.example/', ['--proxy', daemon.proxy, '-H', `Via: ${via}`]);
    expect(result.status).toBe(508);
    expect(result.headers['proxy-status']).toMatch(/^mtlsd; error=proxy_loop_detected/);
  });
});

/** Learns this daemon's name in Via from a plain HTTP request through it. */
async function nodeOriginVia(proxy: string, tell: (via: string) => void): Promise<void> {
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    tell(request.headers.via ?? '');
    response.end();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await curl(`http://127.0.0.1:${port}/`, ['--proxy', proxy]);
}

/** Resolves once connections to the port are refused. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (!open) return;
  }
}
