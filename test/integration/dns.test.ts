/** Name servers that never answer for some hosts: no other host waits for them, nor does the store. */
import { createSocket, type Socket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import type { RunningDaemon } from '../support/daemon.ts';
import { temporaryDirectory } from '../support/daemon.ts';
import type { Seen } from '../support/origins.ts';
import { createScene, type Scene } from '../support/scene.ts';

/** Another loopback address, so that no resolver of this machine is in the way. */
const SERVER = '127.53.0.53';
const HANGING = 15;

// Port 53 and a mount namespace of the daemon's own are for root alone.
describe.runIf(process.platform === 'linux' && process.getuid?.() === 0)('name servers that hang', () => {
  let nameServer: Socket;
  let scene: Scene;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    nameServer = await answeringFor('alive.example');
    const files = temporaryDirectory();
    writeFileSync(join(files, 'resolv.conf'), `nameserver ${SERVER}\noptions timeout:4 attempts:1\n`);
    scene = await createScene({
      files,
      server: { cn: 'alive.example' },
      settings: 'timeouts: { connect: 2s }\n',
      under: [
        'unshare',
        '--mount',
        'bash',
        '-c',
        `mount --bind ${files}/resolv.conf /etc/resolv.conf && exec "$@"`,
        '-',
      ],
      store: ({ origin }) =>
        `version: 1\ncertificates: [{ host: alive.example, port: ${origin.port}, cert: ${files}/alice.crt, key: ${files}/alice.key }]\ntrust: { system: false, ca: [${files}/root.crt] }\n`,
    });
    ({ daemon } = scene);
  });
  afterAll(async () => {
    await scene.close();
    nameServer.close();
  });

  test(`${HANGING} hosts without an answer end with DNS_TIMEOUT, and another host and the store do not wait for them`, async () => {
    // Two for each: they share one look-up.
    const hanging = Array.from({ length: 2 * HANGING }, (_, i) =>
      curl(`http://hangs${i % HANGING}.example/`, ['--proxy', daemon.proxy]),
    );
    let ended = 0;
    for (const each of hanging) void each.then(() => (ended += 1));
    await nameServerAsked(nameServer, HANGING);
    const url = `https://alive.example:${scene.origin.port}/`;
    expect((await curl(url, through(daemon))).json<Seen>().client).toBe('alice');
    expect((await daemon.api('/api/v1/reload', { method: 'POST' })).status).toBe(200);
    expect(ended).toBe(0);
    for (const answer of await Promise.all(hanging)) {
      expect(answer.status).toBe(504);
      expect(answer.body).toMatch(/the name servers gave no answer for hangs\d+\.example within 2 s/);
      expect(answer.body).toContain('DNS_TIMEOUT');
    }
  });
});

const asked = new Set<string>();

/** A name server (RFC 1035) that knows one name, as 127.0.0.1, and is silent about all others. */
async function answeringFor(known: string): Promise<Socket> {
  const server = createSocket('udp4');
  server.on('message', (query, { port, address }) => {
    let at = 12;
    const labels: string[] = [];
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.');
    asked.add(name);
    server.emit('asked');
    if (name !== known) return;
    const question = query.subarray(12, at + 5);
    const isA = query.readUInt16BE(at + 1) === 1;
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    server.send(Buffer.concat([head, question, ...(isA ? [answer] : [])]), port, address);
  });
  await new Promise<void>((resolve) => server.bind(53, SERVER, resolve));
  return server;
}

function nameServerAsked(server: Socket, names: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if ([...asked].filter((name) => name.startsWith('hangs')).length >= names) resolve();
    };
    server.on('asked', look);
    look();
  });
}
