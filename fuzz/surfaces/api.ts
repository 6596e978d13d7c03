/** The admin API of a running daemon, over sockets: requests with bodies made wrong, and bytes that are hardly requests. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { startDaemon } from '../../test/support/daemon.ts';
import { createPki } from '../../test/support/pki.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Surface } from '../surface.ts';

/** `command` is left out on purpose: the API runs what is given there (docs/security.md). Probes reach for the network. */
const TOKENS = [
  ...[
    '"name":',
    '"host":',
    '"port":',
    '"cert":',
    '"key":',
    '"content":',
    '"path":',
    '"passphrase":',
    '"env":',
    '"mode":',
  ],
  ...[
    '"report"',
    '"rules":',
    '"allow":',
    '"ca":',
    '"__proto__":',
    '"constructor":',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'null',
  ],
  ...[
    'true',
    '1e999',
    '-0',
    '"\\u0000"',
    '"\\ud800"',
    '"*"',
    '"*.example"',
    '""',
    '%00',
    '%2f',
    '?',
    '&',
    '=',
    '..',
    '/',
  ],
  ...[
    '\r\n',
    '\r\n\r\n',
    'Content-Length: ',
    'Transfer-Encoding: chunked\r\n',
    'Expect: 100-continue\r\n',
    'If-Match: *\r\n',
  ],
  ...['Last-Event-ID: ', 'Upgrade: websocket\r\nConnection: upgrade\r\n', 'Authorization: ', 'HTTP/1.0', 'HTTP/2.0'],
].map((text) => Buffer.from(text));

const JSON_TYPE = 'Content-Type: application/json\r\n';
/** A daemon that answers nothing for so long is stuck. */
const PATIENCE_MS = 10_000;
/** Between two looks at whether it still runs. */
const LOOK_EVERY = 200;

export const api: Surface = {
  name: 'api',
  share: 1,
  async open() {
    const leaf = await (await createPki()).selfSigned({ cn: 'a', eku: ['clientAuth'] });
    const daemon = await startDaemon({ store: 'version: 1\nverification: { mode: report }\n' });
    const { port } = new URL(daemon.admin);
    const file = (content: string) => ({ content: Buffer.from(content).toString('base64') });
    const entry = { name: 'a', host: 'a.example', cert: file(leaf.certPem), key: file(leaf.keyPem) };
    const bodies: readonly (readonly [method: string, path: string, body?: object])[] = [
      ['GET', '/api/v1/status'],
      ['GET', '/api/v1/certificates'],
      ['GET', '/api/v1/exchanges?limit=5&host=a.example&failed=true'],
      ['GET', '/api/v1/match?url=https%3A%2F%2Fa.example%2F'],
      ['GET', '/api/v1/events?last=3'],
      ['GET', '/metrics'],
      ['GET', '/openapi.json'],
      ['POST', '/api/v1/certificates', entry],
      ['POST', '/api/v1/certificates/inspect', { cert: entry.cert, key: entry.key }],
      ['PATCH', '/api/v1/certificates/a', { enabled: false, port: 8443 }],
      ['PUT', '/api/v1/certificates/a', entry],
      ['DELETE', '/api/v1/certificates/a'],
      ['PUT', '/api/v1/verification', { mode: 'report', rules: [{ host: '*.b.example', mode: 'report', allow: [] }] }],
      ['PUT', '/api/v1/trust', { system: true, ca: [] }],
      ['PUT', '/api/v1/interception', { passthrough: ['c.example'] }],
      ['POST', '/api/v1/match', { url: 'https://a.example/' }],
    ];
    const request = (method: string, path: string, body: string): Buffer =>
      Buffer.from(
        `${method} ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${daemon.token}\r\n` +
          `${body === '' ? '' : JSON_TYPE}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
    const seeds = bodies.map(([method, path, body]) => request(method, path, body ? JSON.stringify(body) : ''));
    let checks = 0;

    /** The status of the first response; null where the connection ends without one. */
    async function statusOf(bytes: Buffer): Promise<number | null> {
      const socket = connect(Number(port), '127.0.0.1');
      const text: Buffer[] = [];
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      socket.on('data', (chunk: Buffer) => {
        text.push(chunk);
        resolve();
      });
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
      socket.end(bytes);
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        socket.destroy();
      }
      const status = /^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(text).toString('latin1'))?.[1];
      return status === undefined ? null : Number(status);
    }

    return {
      make: (random) => (random.oneIn(3) ? mutate(random, { seeds, tokens: TOKENS }) : withWrongBody(random)),
      async check(bytes) {
        const status = await statusOf(bytes);
        if (status !== null && status >= 500 && status !== 503) throw new Error(`answered ${status}`);
        checks++;
        if (checks % LOOK_EVERY === 0 && (await daemon.api('/healthz')).status !== 200) throw new Error('not healthy');
        const fault = daemon.log.find(({ event }) => event === 'daemon.fault');
        if (fault) throw new Error(`daemon.fault: ${String(fault.stack)}`);
      },
      async close() {
        const exited = once(daemon.process, 'close');
        await daemon.stop();
        await exited;
      },
    };

    /** The framing stays right, so that the body is read. */
    function withWrongBody(random: Random): Buffer {
      const [method, path, body] = random.pick(bodies);
      const json = Buffer.from(JSON.stringify(body ?? {}));
      return request(method, path, mutate(random, { seeds: [json], tokens: TOKENS.slice(0, 40) }).toString());
    }
  },
};
