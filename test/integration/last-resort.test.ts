import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { faultEnv } from '../support/fault.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';

const report = 'version: 1\nverification: { mode: report }\n';

describe('a fault that nothing contains', () => {
  let origin: Origin;
  let arrived = (): void => {};
  let release = (): void => {};
  beforeAll(async () => {
    const { keyPem, certPem } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
    origin = await nodeOrigin({ key: keyPem, cert: certPem }, (_request, response) => {
      response.write('first half, ');
      release = () => response.end('second half');
      arrived();
    });
  });
  afterAll(() => origin.close());

  /** A request whose response has begun and waits for `release`. */
  async function begun(daemon: RunningDaemon): Promise<{ readonly response: ReturnType<typeof curl> }> {
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const response = curl(origin.url, [...through(daemon), '--http1.1']);
    await arrival;
    return { response };
  }

  test.each([
    ['an exception', {}],
    ['a rejected promise', { kind: 'rejection' }],
  ] as const)('%s: logged, what is under way finishes, exit 70', async (_name, options) => {
    const home = temporaryDirectory();
    const daemon = await startDaemon({ home, store: report, env: faultEnv(options) });
    const { response } = await begun(daemon);
    const closed = once(daemon.process, 'close');
    daemon.process.kill('SIGUSR2');
    expect(await daemon.event('daemon.fault')).toMatchObject({ scope: 'daemon', id: null, message: 'injected' });
    release();
    expect((await response).body).toBe('first half, second half');
    expect(await closed).toEqual([70, null]);
    expect(await daemon.event('daemon.stopped')).toMatchObject({ reason: 'fault' });
    expect(existsSync(join(home, 'run.json'))).toBe(false);
  });

  test('a second one ends the daemon at once, and its traces are removed', async () => {
    const home = temporaryDirectory();
    const socket = join(home, 'admin.sock');
    const daemon = await startDaemon({ home, store: report, env: faultEnv(), args: ['--admin', `unix:${socket}`] });
    const { response } = await begun(daemon);
    const closed = once(daemon.process, 'close');
    daemon.process.kill('SIGUSR2');
    await daemon.event('daemon.fault');
    expect(existsSync(socket)).toBe(true);
    daemon.process.kill('SIGUSR2');
    expect(await closed).toEqual([70, null]);
    expect((await response).exit).not.toBe(0);
    expect(daemon.log.filter(({ event }) => event === 'daemon.fault')).toHaveLength(2);
    expect(existsSync(join(home, 'run.json'))).toBe(false);
    expect(existsSync(socket)).toBe(false);
  });

  test('what never finishes is ended after 5 s', async () => {
    const daemon = await startDaemon({ store: report, env: faultEnv() });
    const { response } = await begun(daemon);
    const closed = once(daemon.process, 'close');
    const before = performance.now();
    daemon.process.kill('SIGUSR2');
    expect(await closed).toEqual([70, null]);
    expect(performance.now() - before).toBeGreaterThan(4_000);
    expect(performance.now() - before).toBeLessThan(9_000);
    expect((await response).exit).not.toBe(0);
  });
});
