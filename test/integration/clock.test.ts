/** A clock that jumps while the daemon runs: validity follows it at once, and waits do not. libfaketime moves it. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { movableClock } from '../support/clock.ts';
import { ask, toldOf } from '../support/exchange.ts';
import { nodeOrigin, type Origin } from '../support/origins.ts';
import { createCode } from '../support/page.ts';
import { ahead, DAY, HOUR } from '../support/pki.ts';
import { createScene, type Scene } from '../support/scene.ts';
import { hasTool } from '../support/tools.ts';
import { throughTunnel } from '../support/tunnel.ts';

describe.skipIf(!hasTool('faketime'))('a clock that jumps', () => {
  const clock = movableClock();
  let scene: Scene;
  /** Its certificate has twelve hours left. */
  let short: Origin;
  let held: ServerResponse | null = null;
  let cookie: string;

  beforeAll(async () => {
    scene = await createScene({
      env: clock.env,
      client: { notBefore: ahead(-300 * DAY), notAfter: ahead(20 * HOUR) },
      settings: 'timeouts: { response: 20s, keep_alive: 1m }\n',
      demands: false,
      handler: (request, response) => {
        if (request.url === '/held') held = response;
        else response.end('fine');
      },
    });
    const { keyPem, certPem } = await scene.root.issue({ notAfter: ahead(12 * HOUR) });
    short = await nodeOrigin({ key: keyPem, cert: certPem });
    for (const { server } of [short, scene.origin]) server.keepAliveTimeout = 60_000;
    cookie = await signIn();
  });
  afterAll(async () => {
    held?.end();
    await Promise.all([scene.close(), short.close()]);
  });

  async function signIn(): Promise<string> {
    const { origin } = new URL(scene.daemon.admin);
    const login = await fetch(`${scene.daemon.admin}/login`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin, 'sec-fetch-site': 'same-origin' },
      body: new URLSearchParams({ secret: await createCode(scene.daemon) }),
    });
    return login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  }

  const asked = async (path: string, origin = scene.origin) => {
    const { status } = await ask(scene.daemon, `localhost:${origin.port}`, { path });
    const { exchange, connection } = await toldOf(scene.daemon, path);
    const problems = connection?.verification.problems.map(({ code }) => code) ?? [];
    return { status, reused: exchange.reused, problems };
  };

  /** Whether the daemon's leaf for the host is valid by the daemon's clock. */
  async function leafIsValid(offsetMs: number, host: string): Promise<boolean> {
    const socket = await throughTunnel(scene.daemon, `${host}:${scene.origin.port}`, { rejectUnauthorized: false });
    const leaf = socket.getPeerX509Certificate();
    socket.destroy();
    const now = new Date(Date.now() + offsetMs);
    return leaf !== undefined && leaf.validFromDate <= now && now < leaf.validToDate;
  }

  async function enable(enabled: boolean): Promise<void> {
    const { status } = await scene.daemon.api('/api/v1/certificates/alice', {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ enabled }),
    });
    expect(status).toBe(200);
  }

  const sessionStatus = async (): Promise<number> =>
    (await fetch(`${scene.daemon.admin}/api/v1/status`, { headers: { cookie, 'sec-fetch-site': 'same-origin' } }))
      .status;

  test('forward a day: what has expired is not used, and what is under way or idle is not cut off', async () => {
    await asked('/first');
    await asked('/first-short', short);
    expect(await asked('/pooled-short', short)).toMatchObject({ status: 200, reused: true });
    const slow = ask(scene.daemon, `localhost:${scene.origin.port}`, { path: '/held' });
    await expect.poll(() => held).not.toBeNull();
    clock.set('+1d');

    expect(await asked('/day-later-short', short)).toEqual({
      status: 502,
      reused: false,
      problems: ['CERT_HAS_EXPIRED'],
    });
    // No time-out counts the day.
    expect(await sessionStatus()).toBe(200);
    expect(await leafIsValid(DAY, 'localhost')).toBe(true);
    held?.end('late');
    expect(await slow).toMatchObject({ status: 200, body: 'late' });
    expect(await asked('/day-later')).toMatchObject({ status: 200 });
    // Within a minute by itself; a change of the store looks at once.
    await enable(false);
    await enable(true);
    expect(await scene.daemon.event('certificate.expired')).toMatchObject({ name: 'alice', days_left: -1 });
    expect(await leafIsValid(DAY, '127.0.0.1')).toBe(true);
  });

  test('back again: leaves are minted again, servers are verified by the new time, warnings are given again', async () => {
    clock.set('+0');
    expect(await leafIsValid(0, '127.0.0.1')).toBe(true);
    expect(await asked('/back')).toMatchObject({ status: 200, problems: [] });
    expect(await asked('/back-short', short)).toMatchObject({ status: 200, reused: false, problems: [] });
    expect(await asked('/back-short-pooled', short)).toMatchObject({ status: 200, reused: true });
    expect(await sessionStatus()).toBe(200);
    await enable(false);
    await enable(true);
    // At the start too, since it had hours left then.
    const warnings = () => scene.daemon.log.filter(({ event }) => event === 'certificate.expiring').length;
    await expect.poll(warnings).toBe(2);
  });
});
