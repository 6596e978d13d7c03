/** Pages of other sites do not act with the user's certificate, unless its entry allows it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curl, through } from '../support/curl.ts';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Answer, ask, askH2, toldOf } from '../support/exchange.ts';
import { nodeOrigin, type Origin, type Seen } from '../support/origins.ts';
import { createPki } from '../support/pki.ts';
import { throughTunnel } from '../support/tunnel.ts';

const SETTINGS = ['withhold', 'refuse', 'allow', 'list'] as const;
type Setting = (typeof SETTINGS)[number];
const LISTED = 'http://localhost:3000';

/** As Chromium sends them: docs of Fetch Metadata, and measured. */
const FETCH = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
const IMAGE = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
const FRAME = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' };
const LINK = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

describe('cross_site', () => {
  const dir = temporaryDirectory();
  const origins = new Map<Setting, Origin>();
  let daemon: RunningDaemon;
  let count = 0;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(dir, 'root');
    (await root.issue({ cn: 'alice', eku: ['clientAuth'] })).write(dir, 'alice');
    const { keyPem, certPem } = await root.issue({ cn: 'localhost', sans: ['localhost'] });
    const entries: string[] = [];
    for (const setting of SETTINGS) {
      const tls = { key: keyPem, cert: certPem, ca: root.certPem, requestCert: true, rejectUnauthorized: false };
      const origin = await nodeOrigin(tls);
      origin.server.on('upgrade', (request, socket: Socket) => {
        const peer = (
          request.socket as never as { getPeerX509Certificate(): { subject: string } | undefined }
        ).getPeerX509Certificate();
        socket.end(
          `HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Client: ${peer?.subject ?? 'none'}\r\n\r\n`,
        );
      });
      origins.set(setting, origin);
      const value = setting === 'list' ? `[${LISTED}]` : setting;
      entries.push(
        `  - { name: ${setting}, host: localhost, port: ${origin.port}, cert: ${dir}/alice.crt, key: ${dir}/alice.key, cross_site: ${value} }`,
      );
    }
    daemon = await startDaemon({
      store: `version: 1\ncertificates:\n${entries.join('\n')}\ntrust: { system: false, ca: [${dir}/root.crt] }\n`,
      settings: `listeners:\n  - { listen: "127.0.0.1:0", to: "https://localhost:${origins.get('allow')?.port}" }\n`,
    });
  });
  afterAll(async () => {
    await Promise.all([daemon.stop(), ...[...origins.values()].map((origin) => origin.close())]);
  });

  const authority = (setting: Setting): string => `localhost:${origins.get(setting)?.port}`;
  /** `alice`, `none`, or the status of a refusal; held to the record. */
  async function outcome(
    setting: Setting,
    headers: Record<string, string>,
    { method = 'GET', send = ask }: { method?: string; send?: typeof ask } = {},
  ): Promise<string> {
    const path = `/${setting}/${++count}`;
    const answer: Answer = await send(daemon, authority(setting), { method, path, headers });
    const { exchange } = await toldOf(daemon, path);
    if (answer.status !== 200) return String(answer.status);
    // HEAD has no body: what the origin saw tells.
    const client = origins.get(setting)?.seen.find(({ url }) => url === path)?.client ?? null;
    if (client === null && exchange.cross_site?.action !== 'withhold') throw new Error('the record does not say why');
    return client ?? 'none';
  }

  test.each([
    ['withhold', 'none'],
    ['refuse', '403'],
    ['allow', 'alice'],
    ['list', 'none'],
  ] as const)('%s: requests of a foreign page', async (setting, expected) => {
    for (const [headers, method] of [
      [{ ...FETCH, origin: 'https://evil.test' }, 'GET'],
      [{ ...FETCH, origin: 'null' }, 'POST'],
      [IMAGE, 'GET'],
      [FRAME, 'GET'],
      [LINK, 'POST'],
      [{ ...FETCH, connection: 'sec-fetch-site, close' }, 'GET'],
    ] as const)
      expect(await outcome(setting, headers, { method })).toBe(expected);
    expect(await outcome(setting, { ...FETCH, origin: 'https://evil.test' }, { send: askH2 })).toBe(expected);
  });

  test.each(SETTINGS)('%s: what the user does, and programs, carry the certificate', async (setting) => {
    expect(await outcome(setting, LINK)).toBe('alice');
    expect(await outcome(setting, LINK, { method: 'HEAD' })).toBe('alice');
    expect(await outcome(setting, { 'sec-fetch-site': 'none' })).toBe('alice');
    expect(await outcome(setting, { 'sec-fetch-site': 'same-origin', origin: 'https://localhost' })).toBe('alice');
    expect(await outcome(setting, { 'sec-fetch-mode': 'cors' })).toBe('alice');
    expect(await outcome(setting, {})).toBe('alice');
    const { body } = await curl(`${origins.get(setting)?.url}/curl`, [
      ...through(daemon),
      '-H',
      'Origin: https://evil.test',
    ]);
    expect((JSON.parse(body) as Seen).client).toBe('alice');
  });

  test('a list allows its origins alone', async () => {
    expect(await outcome('list', { ...FETCH, origin: LISTED })).toBe('alice');
    for (const origin of ['http://localhost:3001', 'https://localhost:3000', 'http://localhost:3000.evil.test', 'null'])
      expect(await outcome('list', { ...FETCH, origin })).toBe('none');
    expect(await outcome('list', FETCH)).toBe('none');
  });

  async function webSocket(setting: Setting, fields: string): Promise<string> {
    const socket = await throughTunnel(daemon, authority(setting), { ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
    socket.write(`GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${fields}\r\n`);
    await once(socket, 'close');
    return /X-Client: (?:CN=)?(\w+)/.exec(text)?.[1] ?? text.slice(9, 12);
  }

  test('a WebSocket shows its page by Origin alone', async () => {
    for (const origin of ['https://evil.test', 'http://localhost', 'null', 'https://localhost.evil.test']) {
      const fields = `Origin: ${origin}\r\n`;
      expect(await webSocket('withhold', fields)).toBe('none');
      expect(await webSocket('refuse', fields)).toBe('403');
      expect(await webSocket('allow', fields)).toBe('alice');
    }
    expect(await webSocket('list', `Origin: ${LISTED}\r\n`)).toBe('alice');
    for (const fields of ['', 'Origin: https://localhost\r\n', 'Origin: https://localhost:8443\r\n'])
      expect(await webSocket('withhold', fields)).toBe('alice');
  });

  test('Mtlsd- fields are refused from web pages of any site', async () => {
    for (const site of ['cross-site', 'same-site', 'same-origin', 'none'])
      for (const [name, value] of [
        ['mtlsd-certificate', 'allow'],
        ['mtlsd-verification', 'report'],
      ] as const)
        for (const send of [ask, askH2])
          expect(await outcome('allow', { 'sec-fetch-site': site, [name]: value }, { send })).toBe('403');
    expect(await outcome('allow', { 'mtlsd-verification': 'report', 'sec-fetch-mode': 'cors' })).toBe('alice');
  });

  test('a local port refuses foreign origins, also on upgrades', async () => {
    const ready = await daemon.event('daemon.ready');
    const port = Number(
      String((ready.listeners as unknown[])[0] ?? '')
        .split(':')
        .at(-1),
    );
    const status = async (fields: string): Promise<string> => {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      socket
        .on('error', () => {})
        .on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
        });
      socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${fields}\r\n`);
      await once(socket, 'close');
      return text.slice(9, 12);
    };
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    for (const rest of ['Connection: close\r\n', upgrade]) {
      for (const origin of ['https://evil.test', 'null', 'http://127.0.0.1.evil.test'])
        expect(await status(`Origin: ${origin}\r\n${rest}`)).toBe('403');
      expect(await status(`Sec-Fetch-Site: cross-site\r\n${rest}`)).toBe('403');
      expect(await status(`Origin: http://127.0.0.1:${port}\r\n${rest}`)).toBe(rest === upgrade ? '101' : '200');
    }
  });
});
