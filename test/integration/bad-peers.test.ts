/** One test for every native error that classify.ts knows and a test can provoke: a new Node or OpenSSL that renames it shows here. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, startDaemon, temporaryDirectory } from '../support/daemon.ts';
import { type Answer, ask, type Told, toldOf } from '../support/exchange.ts';
import { createPki, type Issued } from '../support/pki.ts';

describe('a server that', () => {
  const dir = temporaryDirectory();
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  let good: Issued;
  let daemon: RunningDaemon;

  beforeAll(async () => {
    const root = await (await createPki()).root();
    root.write(dir, 'root');
    good = await root.issue();
    daemon = await startDaemon({
      store: `version: 1\ntrust: { system: false, ca: [${dir}/root.crt] }\n`,
      settings:
        'timeouts: { connect: 500ms, tls: 500ms, response: 500ms }\nconnect_to: { away.test.example: "192.0.2.1" }\n',
    });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([daemon.stop(), ...servers.map((server) => new Promise((resolve) => server.close(resolve)))]);
  });

  async function listening(server: Server): Promise<number> {
    servers.push(server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }
  const tcp = (onConnection: (socket: Socket, count: number) => void): Promise<number> => {
    let count = 0;
    return listening(createServer((socket) => onConnection(socket, ++count)));
  };
  /** Past the handshake: answers the first bytes of a request with these. */
  const answering = (answer: (socket: TLSSocket) => void): Promise<number> => {
    const server = createTlsServer({ key: good.keyPem, cert: good.certPem }, (socket) => {
      socket.on('error', () => {});
      socket.once('data', () => answer(socket));
    });
    server.on('tlsClientError', () => {});
    return listening(server);
  };

  async function outcome(authority: string, method = 'GET', body = ''): Promise<Told & { answer: Answer }> {
    const path = `/${expect.getState().currentTestName?.replaceAll(/[^a-zA-Z0-9]+/g, '-')}`;
    const answer = await ask(daemon, authority, { method, path, ...(body && { body }) });
    return { answer, ...(await toldOf(daemon, path)) };
  }

  /** Status, token and code as the client sees them, held to the record. */
  function said({ answer, exchange }: Told & { answer: Answer }): string {
    const [, token, code] = /^mtlsd; error=(\w+);.* details="(\w+)/.exec(String(answer.headers['proxy-status'])) ?? [];
    expect(answer.body).toContain(`code:        ${exchange.error?.code}\n`);
    expect(answer.body).toContain(`exchange:    ${exchange.exchange}\n`);
    expect(exchange.status).toBe(answer.status);
    expect(code).toBe(exchange.error?.code);
    return `${answer.status} ${token} ${code}: ${exchange.error?.message.replaceAll(/:\d+/g, ':PORT')}`;
  }

  test('has a name that does not resolve', async () => {
    const got = await outcome('nowhere.invalid:443');
    expect(said(got)).toMatch(
      /^(502 dns_error DNS_FAILED: the name of nowhere.invalid:PORT does not resolve \(ENOTFOUND\)|504 dns_timeout DNS_TIMEOUT: the name servers gave no answer for nowhere.invalid:PORT \(EAI_AGAIN\))$/,
    );
    expect(got.connection).toMatchObject({ event: 'tls.failed', address: null, tls: null });
  });

  test('has an address that no way leads to', async () => {
    // The broadcast address: the system opens no TCP connection to it, and sends nothing.
    const got = await outcome('255.255.255.255:443');
    expect(said(got)).toMatch(/^502 destination_ip_unroutable CONNECTION_FAILED: \S+ can't be reached/);
  });

  test('refuses the connection', async () => {
    const port = await tcp(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(said(await outcome(`127.0.0.1:${port}`))).toBe(
      '502 connection_refused CONNECTION_REFUSED: 127.0.0.1:PORT refused the connection (connect ECONNREFUSED 127.0.0.1:PORT)',
    );
  });

  test("never answers, or can't be reached", async () => {
    // TEST-NET-1 (RFC 5737) has no hosts; a machine without a route fails at once.
    expect(said(await outcome('away.test.example:443'))).toMatch(
      /^(504 connection_timeout CONNECTION_TIMEOUT: away.test.example:PORT did not answer within 0.5 s|502 \w+ CONNECTION_\w+: .*)$/,
    );
  });

  test('takes the connection and never finishes its handshake', async () => {
    const port = await tcp(() => {});
    expect(said(await outcome(`localhost:${port}`))).toBe(
      '504 connection_timeout TLS_TIMEOUT: localhost:PORT did not finish the TLS handshake in time',
    );
  });

  test('resets in the handshake, every time', async () => {
    let connections = 0;
    const port = await tcp((socket, count) => {
      connections = count;
      socket.once('data', () => socket.resetAndDestroy());
    });
    expect(said(await outcome(`localhost:${port}`))).toBe(
      '502 tls_protocol_error TLS_FAILED: localhost:PORT closed the connection during the TLS handshake, without an alert',
    );
    expect(connections).toBeLessThanOrEqual(3); // one dialled ahead, one more, and no third for the request
  });

  test('resets in the first handshake alone: nothing was sent, so that it is tried again', async () => {
    const lines: string[] = [];
    const origin = createTlsServer({ key: good.keyPem, cert: good.certPem }, (socket) => {
      socket.on('error', () => {});
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (!text.endsWith('the body')) return;
        lines.push(text.split('\r\n')[0] ?? '');
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const port = await tcp((socket, count) => {
      if (count === 1) socket.once('data', () => socket.resetAndDestroy());
      else origin.emit('connection', socket);
    });
    const { answer, exchange } = await outcome(`localhost:${port}`, 'POST', 'the body');
    expect([answer.status, answer.body]).toEqual([200, 'ok']);
    expect(exchange.error).toBeNull();
    expect(lines).toEqual([`POST ${exchange.path} HTTP/1.1`]);
  });

  test('does not speak TLS', async () => {
    const port = await tcp((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    expect(said(await outcome(`localhost:${port}`))).toBe(
      '502 tls_protocol_error TLS_FAILED: localhost:PORT does not speak TLS on this port',
    );
  });

  test('speaks another version only', async () => {
    // A fatal protocol_version alert, as a server of long ago sends it.
    const alert = Buffer.of(21, 3, 1, 0, 2, 2, 70);
    const port = await tcp((socket) => socket.once('data', () => socket.end(alert)));
    const got = await outcome(`localhost:${port}`);
    expect(said(got)).toMatch(
      /^502 tls_alert_received TLS_FAILED: localhost:PORT ended the TLS handshake with alert 70 /,
    );
    expect(got.exchange.error?.alert).toMatchObject({ number: 70, name: 'protocol_version' });
  });

  test('has no cipher in common', async () => {
    const port = await tcp((socket) => socket.once('data', () => socket.end(Buffer.of(21, 3, 3, 0, 2, 2, 40))));
    expect(said(await outcome(`localhost:${port}`))).toMatch(
      /alert 40 handshake_failure: there is no cipher, group or signature/,
    );
  });

  test('closes before it answers', async () => {
    const port = await answering((socket) => socket.end());
    expect(said(await outcome(`localhost:${port}`))).toBe(
      '502 connection_terminated CONNECTION_CLOSED: localhost:PORT: the connection ended before a response came',
    );
  });

  test('resets before it answers', async () => {
    // A TLSSocket can't reset what is below it.
    const origin = createTlsServer({ key: good.keyPem, cert: good.certPem });
    const port = await tcp((socket) => {
      origin.once('secureConnection', (secure) =>
        secure.once('data', () => socket.resetAndDestroy()).on('error', () => {}),
      );
      origin.emit('connection', socket);
    });
    expect(said(await outcome(`localhost:${port}`))).toMatch(
      /^502 connection_terminated CONNECTION_CLOSED: localhost:PORT: the connection ended before a response came$/,
    );
  });

  test('never answers', async () => {
    const port = await answering(() => {});
    expect(said(await outcome(`localhost:${port}`))).toBe(
      '504 http_response_timeout RESPONSE_TIMEOUT: localhost:PORT: no response within 0.5 s',
    );
  });

  test('answers with something that is not HTTP', async () => {
    const port = await answering((socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'));
    expect(said(await outcome(`localhost:${port}`))).toMatch(
      /^502 http_protocol_error RESPONSE_INVALID: localhost:PORT: /,
    );
  });

  test('answers with a broken field', async () => {
    const port = await answering((socket) => socket.end('HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n'));
    expect(said(await outcome(`localhost:${port}`))).toMatch(
      /^502 http_protocol_error RESPONSE_INVALID: localhost:PORT: /,
    );
  });

  test('sends more fields than the limit', async () => {
    const fields = `X: ${'x'.repeat(300 * 1024)}\r\n`;
    const port = await answering((socket) => socket.end(`HTTP/1.1 200 OK\r\n${fields}\r\n`));
    expect(said(await outcome(`localhost:${port}`))).toMatch(
      /^502 http_protocol_error RESPONSE_INVALID: localhost:PORT: /,
    );
  });

  test('closes in the middle of its response', async () => {
    const port = await answering((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'));
    const authority = `localhost:${port}`;
    await expect(ask(daemon, authority, { path: '/half' })).rejects.toThrow(/aborted|ECONNRESET|socket hang up/);
    const { exchange } = await toldOf(daemon, '/half');
    expect(exchange).toMatchObject({ status: 200, response_bytes: 4, error: { code: 'CONNECTION_CLOSED' } });
  });
});
