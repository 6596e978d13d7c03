import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { curl } from '../support/curl.ts';
import { runMtlsd, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

test('metrics.listen serves the metrics without a token, on an address that other machines reach, and nothing else', async () => {
  const daemon = await startDaemon({ settings: 'metrics: { listen: "0.0.0.0:0" }' });
  const address = (await daemon.event('daemon.ready')).metrics as string;
  expect(address).toMatch(/^0\.0\.0\.0:\d+$/);
  const base = `http://127.0.0.1:${address.split(':')[1]}`;
  await curl('http://127.0.0.1:9/', ['-x', daemon.proxy]);
  const metrics = await fetch(`${base}/metrics`);
  expect([metrics.status, metrics.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/plain')]);
  const text = await metrics.text();
  expect(text).toContain('mtlsd_exchanges_total{status="5xx",code="CONNECTION_REFUSED"} 1');
  expect(text).toContain('mtlsd_build_info{');
  for (const path of ['/', '/api/v1/status', '/healthz', '/ca.pem', '/metrics/x'])
    expect([path, (await fetch(base + path)).status]).toEqual([path, 404]);
  expect((await fetch(`${base}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
  expect((await daemon.api('/metrics', { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
  // It is a port of the daemon's own: nothing reaches it through the proxy.
  expect((await curl(`${base}/metrics`, ['-x', daemon.proxy])).body).toContain('LOOP_DETECTED');
  const silent = connect(Number(address.split(':')[1]), '127.0.0.1');
  silent.on('error', () => {});
  expect(await daemon.stop()).toBe(0);
});

test('an address that is taken ends the start with what to do', async () => {
  const first = await startDaemon({ settings: 'metrics: { listen: "127.0.0.1:0" }' });
  const { metrics } = await first.event('daemon.ready');
  const home = temporaryDirectory();
  writeFileSync(join(home, 'mtlsd.yaml'), `metrics: { listen: "${metrics as string}" }`);
  const second = await runMtlsd(['start', '--home', home, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']);
  expect(second.code).toBe(2);
  expect(second.stderr).toContain(
    `can't listen on ${metrics as string} for the metrics: EADDRINUSE\nnext: choose another address for metrics.listen`,
  );
  await first.stop();
});
