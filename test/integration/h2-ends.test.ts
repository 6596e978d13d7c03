/** HTTP/2 origins that break the protocol and then neither read nor close. Clients that do: the surface wire-h2-client of fuzz/. */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { FRAME, frame, headers, PREFACE } from '../support/h2-frames.ts';
import { createPki } from '../support/pki.ts';
import { type RawOrigin, rawH2Origin } from '../support/raw-origins.ts';
import { throughTunnel } from '../support/tunnel.ts';

describe('a broken HTTP/2 session', () => {
  let daemon: RunningDaemon;
  let stuck: RawOrigin;

  beforeAll(async () => {
    const { keyPem: key, certPem: cert } = await (await createPki()).selfSigned({
      cn: 'localhost',
      sans: ['localhost'],
    });
    stuck = await rawH2Origin({ key, cert }, (socket) => {
      // Room for megabytes, of which none is read, and then a frame that breaks the session.
      const room = Buffer.from('7fff0000', 'hex');
      socket.write(Buffer.concat([frame(8, 0, 0, room), frame(8, 0, 1, room)]));
      socket.pause();
      setImmediate(() => socket.write(frame(FRAME.data, 0, 0, 'of no stream')));
    });
    daemon = await startDaemon({ store: 'version: 1\nverification: { mode: report }\n' });
  });
  afterAll(() => Promise.all([daemon.stop(), stuck.close()]));

  const gauge = async (name: string): Promise<number> =>
    Number(new RegExp(`^mtlsd_${name} (\\d+)$`, 'm').exec(await (await daemon.api('/metrics')).text())?.[1]);
  const released = (name: string): Promise<void> =>
    expect.poll(() => gauge(name), { timeout: 20_000, interval: 50 }).toBe(0);
  const request = (method: string): Buffer =>
    headers(1, [':method', method, ':scheme', 'https', ':authority', 'localhost', ':path', '/'], method === 'GET');
  const opened = (window: string): Buffer =>
    Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, Buffer.from(`0004${window}`, 'hex'))]);

  test('is released where the origin neither reads nor closes', async () => {
    const socket: Socket = await throughTunnel(daemon, `localhost:${stuck.port}`, { ALPNProtocols: ['h2'] });
    socket.on('error', () => {}).resume();
    socket.write(Buffer.concat([opened('00010000'), request('POST')]));
    for (let n = 0; n < 400; n++) socket.write(frame(FRAME.data, 0, 1, 'x'.repeat(16_000)));
    await daemon.event('exchange', ({ authority }) => authority === `localhost:${stuck.port}`);
    socket.destroy();
    await released('upstream_connections');
  });
});
