/** What is refused before there is an exchange: the id in its answer leads to a record, and no port speaks another's protocol. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExchangeRecord } from '../../src/inspect/records/types.ts';
import { curl } from '../support/curl.ts';
import { type RunningDaemon, runMtlsd, startDaemon } from '../support/daemon.ts';
import { openEvents } from '../support/event-stream.ts';

describe('early refusals', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    daemon = await startDaemon({
      store: 'version: 1\ninterception: { unmatched: refuse }\n',
      settings: 'auth: { password: { env: PROXY_PASS } }\n',
      env: { PROXY_PASS: 'secret word 9' },
      secrets: ['secret word 9'],
    });
  });
  afterAll(() => daemon.stop());

  const recordOf = async (id: string): Promise<ExchangeRecord> => {
    const answer = await daemon.api(`/api/v1/exchanges/${id}`);
    expect(answer.status).toBe(200);
    return (await answer.json()) as ExchangeRecord;
  };
  const LOGIN = 'me:secret word 9';

  test.each([
    ['a wrong password', 407, 'PROXY_AUTHENTICATION_REQUIRED', 'refused.example:443', 'me:wrong'],
    ['a host that is refused', 403, 'POLICY_REFUSED', 'refused.example:443', LOGIN],
    ['a target that is none', 400, 'BAD_AUTHORITY', 'nonsense', LOGIN],
  ])('%s', async (_what, status, code, target, user) => {
    const answer = await request(target, user);
    expect(answer).toContain(`HTTP/1.1 ${status} `);
    const [id = ''] = /x-[0-9a-f]{8}-[0-9a-z]+/.exec(answer) ?? [];
    expect(await recordOf(id)).toMatchObject({ exchange: id, method: 'CONNECT', status, error: { code } });
    expect((await runMtlsd(['show', id, '--home', daemon.home])).stdout).toContain(code);
    expect((await runMtlsd(['tail', '--no-follow', '--failed', '--home', daemon.home])).stdout).toContain(id);
  });

  test.each([
    ['https:// in the proxy address', ['--proxy', 'https://127.0.0.1:PORT'], /starts TLS/, /HTTPS_PROXY=http:/],
    ['SOCKS5', ['--socks5-hostname', '127.0.0.1:PORT'], /speaks SOCKS/, /set socks in mtlsd.yaml/],
    ['SOCKS4', ['--socks4', '127.0.0.1:PORT'], /speaks SOCKS/, /http:\/\//],
  ])('another protocol than the proxy speaks: %s', async (_what, options, message, hint) => {
    const seen = daemon.log.length;
    const args = options.map((word) => word.replace('PORT', String(daemon.proxyPort)));
    expect((await curl('https://127.0.0.1:9/', args)).exit).not.toBe(0);
    const refused = await daemon.event('proxy.refused', (line) => daemon.log.indexOf(line) >= seen);
    expect(await recordOf(String(refused['exchange']))).toMatchObject({
      status: 400,
      error: {
        code: 'BAD_REQUEST',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      },
    });
  });

  /** Raw, since curl does not show the body of an answer to CONNECT. */
  function request(target: string, user: string): Promise<string> {
    const socket = connect(daemon.proxyPort, '127.0.0.1');
    const login = `Proxy-Authorization: Basic ${Buffer.from(user).toString('base64')}`;
    socket.end(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n\r\n`);
    let answer = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (answer += piece));
    return new Promise((resolve) => socket.on('close', () => resolve(answer)));
  }
});

describe('a client that does not trust the local CA', () => {
  test('is in tail, the records, the events and doctor', async () => {
    const daemon = await startDaemon();
    const events = await openEvents(daemon);
    const failed = await curl('https://untrusting.example/', ['--proxy', daemon.proxy]);
    expect(failed.exit).toBe(60);
    const { data } = await events.next(({ event }) => event === 'exchange');
    expect(data).toMatchObject({
      method: 'CONNECT',
      authority: 'untrusting.example:443',
      status: null,
      error: { code: 'CLIENT_TLS_FAILED', alert: { name: 'unknown_ca' }, hint: expect.stringContaining('GET /ca.pem') },
    });
    events.close();
    const tail = await runMtlsd(['tail', '--no-follow', '--home', daemon.home]);
    expect(tail.stdout).toMatch(/CONNECT +untrusting\.example:443 .*CLIENT_TLS_FAILED\n.*does not trust the local CA/);
    const doctor = await runMtlsd(['doctor', '--no-clients', '--home', daemon.home]);
    expect(doctor.stdout).toMatch(/warning +clients: the client does not trust the local CA .*once in the last hour/);
    await daemon.stop();
  });
});

describe('a limit of connections', () => {
  test('is reported with its own number, and in HTTP only if the port speaks it', async () => {
    const daemon = await startDaemon({
      settings:
        'socks: 127.0.0.1:0\nlisteners: [{ listen: "127.0.0.1:0", to: "tls://a.example:1" }]\nlimits: { connections_per_address: 2 }\n',
    });
    const ready = await daemon.event('daemon.ready');
    const held = [connect(daemon.proxyPort, '127.0.0.1'), connect(daemon.proxyPort, '127.0.0.1')];
    await Promise.all(held.map((socket) => new Promise<void>((resolve) => socket.once('connect', () => resolve()))));
    const answered = async (port: number): Promise<string> => {
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      let text = '';
      socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
      await new Promise<void>((resolve) => socket.on('close', () => resolve()));
      return text;
    };
    expect(await answered(daemon.proxyPort)).toMatch(
      /^HTTP\/1\.1 503 [^]*2 connections from this address are open, as many as limits\.connections_per_address allows/,
    );
    expect(await daemon.event('proxy.refused')).toMatchObject({ code: 'OVERLOADED' });
    const others = [String(ready.socks), ...(ready.listeners as string[])];
    for (const address of others) expect(await answered(Number(address.split(':').at(-1)))).toBe('');
    for (const socket of held) socket.destroy();
    await daemon.stop();
  });
});
