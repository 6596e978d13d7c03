import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeAnswer } from '../../src/admin/schemas/probe.ts';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';
import { faultEnv } from '../support/fault.ts';
import { nginxOrigin } from '../support/nginx.ts';
import { nodeOrigin, type Origin, type ProcessOrigin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

const report = 'version: 1\nverification: { mode: report }\n';

describe('mtlsd probe of nginx with an RSA key', () => {
  const files = temporaryDirectory();
  let nginx: ProcessOrigin;
  let daemon: RunningDaemon;
  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(files, 'root');
    (await root.issue({ cn: 'localhost', sans: ['localhost'], key: 'rsa2048' })).write(files, 'server');
    nginx = await nginxOrigin({
      cert: `${files}/server.crt`,
      key: `${files}/server.key`,
      clientCa: `${files}/root.crt`,
      verify: 'optional',
    });
    daemon = await startDaemon({ store: report });
  });
  afterAll(() => Promise.all([daemon.stop(), nginx.close()]));

  test('tells what the server offers, and the daemon goes on', async () => {
    const { code, stdout } = await runMtlsd(['probe', `localhost:${nginx.port}`, '--home', daemon.home, '--json']);
    expect(code).toBe(0);
    const answer = JSON.parse(stdout) as ProbeAnswer;
    expect(answer.ciphers.find(({ version }) => version === 'TLSv1.2')?.suites.length).toBeGreaterThan(3);
    expect((await daemon.api('/healthz')).status).toBe(200);
    expect(daemon.log.filter(({ event }) => event === 'daemon.fault')).toEqual([]);
  });
});

describe('a fault of mtlsd itself ends what it belongs to alone', () => {
  let origin: Origin;
  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({ key: keyPem, cert: certPem }, (_request, response) => response.end('hello'));
  });
  afterAll(() => origin.close());

  /** Starts a daemon that fails there, provokes the fault, and sees it logged, counted, and all else working. */
  async function fails(at: string, scope: string, provoke: (daemon: RunningDaemon) => Promise<void>): Promise<number> {
    const daemon = await startDaemon({ store: report, env: faultEnv({ at }) });
    await provoke(daemon);
    const fault = await daemon.event('daemon.fault');
    expect(fault).toMatchObject({ level: 'error', scope, message: 'injected' });
    expect(fault.stack).toContain('injected\n    at ');
    expect((await curl(origin.url, through(daemon))).body).toBe('hello');
    if (!at.includes('metrics')) {
      const metrics = await (await daemon.api('/metrics')).text();
      expect(metrics).toMatch(new RegExp(`^mtlsd_faults_total\\{scope="${scope}"\\} [1-9]`, 'm'));
    }
    expect(await daemon.stop()).toBe(0);
    return daemon.log.filter(({ event }) => event === 'daemon.fault').length;
  }

  test('a probe', async () => {
    const faults = await fails('tls:TLSSocket.prototype.getCipher @ probe/attempt', 'probe', async (daemon) => {
      const response = await daemon.api('/api/v1/probe', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ authority: `localhost:${origin.port}`, ciphers: false }),
      });
      expect(response.status).toBe(200);
      const { attempts } = (await response.json()) as ProbeAnswer;
      expect(attempts[0]).toMatchObject({ outcome: 'refused' });
    });
    expect(faults).toBeGreaterThan(0);
  });

  test('a request to the API', async () => {
    const faults = await fails('global:process.memoryUsage.rss @ admin/metrics', 'admin', async (daemon) => {
      const response = await daemon.api('/metrics');
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({ code: 'INTERNAL' });
    });
    expect(faults).toBe(1);
  });

  test('a reload', async () => {
    expect(await fails('global:Map.prototype.keys @ admin/usage', 'reload', async () => {})).toBe(1);
  });

  test('a stream of events; the request that made the event is not touched', async () => {
    const faults = await fails('global:JSON.stringify @ routes/events', 'admin', async (daemon) => {
      const events = await openEvents(daemon);
      expect((await curl(origin.url, through(daemon))).body).toBe('hello');
      await events.ended;
    });
    expect(faults).toBe(1);
  });
});
