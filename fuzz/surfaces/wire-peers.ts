/** What origins and upstream proxies may answer a running daemon, whichever way the client asked. */
import { writeFileSync } from 'node:fs';
import { connect as connectH2, type ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { temporaryDirectory } from '../../test/support/daemon.ts';
import { createPki } from '../../test/support/pki.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Surface, Target } from '../surface.ts';
import { recordedHandshake } from '../tls-bytes.ts';
import { type Arena, openArena, openTcp, openTunnel } from '../wire/arena.ts';
import { LANES } from '../wire/clients.ts';
import { makeFrames } from '../wire/frames.ts';
import { type HostilePeer, hostileH1, hostileH2 } from '../wire/hostile-peer.ts';
import { http1Maker } from '../wire/http1-text.ts';
import { isLoss, Lanes, type Line } from '../wire/lanes.ts';
import { quiet, scripted } from '../wire/script.ts';

const METHODS = ['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'OPTIONS'] as const;

/** Sends one request and accepts any answer. */
type Ask = (random: number) => Promise<void>;

interface Way {
  readonly ask: Ask;
  readonly close: () => Promise<void>;
}

const bodyOf = (method: string): string =>
  method === 'POST'
    ? 'Content-Length: 4\r\n\r\nbody'
    : method === 'PUT'
      ? 'Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'
      : '\r\n';

/** By HTTP/1.1, on connections that are kept for as long as the daemon keeps them. @param target as in the request line */
function h1Way(open: () => Promise<Line>, target: string): Way {
  const lanes = new Lanes(open);
  return {
    ask: (n) =>
      lanes.tryUse(async ({ socket, raw }) => {
        const method = METHODS[n % METHODS.length] ?? 'GET';
        const upgrade = n % 11 === 0 && method === 'GET' ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n' : '';
        socket.write(`${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${upgrade}${bodyOf(method)}`);
        await quiet(socket);
        // What is left of an answer is not the next one's, and a tunnel is no way to ask.
        if (upgrade !== '' || n % 4 === 0) raw.destroy();
      }),
    close: async () => lanes.close(),
  };
}

/** By HTTP/2: one session, while it lasts. */
function h2Way(arena: Arena, authority: () => string): Way {
  let session: Promise<ClientHttp2Session> | null = null;
  async function open(): Promise<ClientHttp2Session> {
    const { tls, raw } = await openTunnel(await arena.daemon(), authority(), 'h2');
    const opened = connectH2('https://localhost', {
      createConnection: () => tls,
      strictSingleValueFields: false,
    } as object);
    opened.on('error', () => {});
    opened.once('close', () => raw.destroy());
    return opened;
  }
  return {
    async ask(n) {
      const asked = (session ??= open());
      const opened = await asked.catch((error: unknown) => {
        if (!isLoss(error)) throw error;
      });
      if (!opened || opened.closed || opened.destroyed) {
        if (session === asked) session = null;
        return;
      }
      const method = METHODS[n % METHODS.length] ?? 'GET';
      const hasBody = method === 'POST' || method === 'PUT';
      const stream = opened.request(
        { ':method': method, ':path': '/', ':authority': 'localhost' },
        { endStream: !hasBody },
      );
      stream.on('error', () => {}).resume();
      if (hasBody) stream.end('body');
      await quiet(stream, 30);
      if (!stream.closed) stream.close(8);
    },
    async close() {
      const opened = await session?.catch(() => null);
      session = null;
      opened?.destroy();
    },
  };
}

/** Each input answers a request that comes in one of the ways. */
function peerSurface(
  name: string,
  share: number,
  open: () => Promise<{
    arena: Arena;
    peers: HostilePeer[];
    make: (random: Random) => Buffer;
    ways: [HostilePeer, Way][];
  }>,
): Surface {
  return {
    name,
    share,
    async open(): Promise<Target> {
      const { arena, peers, make, ways } = await open();
      let count = 0;
      return {
        lanes: LANES,
        make: (random) => scripted(random, make(random)),
        async check(input) {
          // Drawn from the input, so that the same input is asked for in the same way.
          const n = crc32(input);
          const [peer, way] = ways[n % ways.length] as [HostilePeer, Way];
          count += 1;
          await peer.answering(input, () => way.ask(n >>> 3));
          arena.assertWell();
        },
        async settle() {
          await Promise.all(ways.map(([, way]) => way.close()));
          await arena.settle(() => {
            for (const peer of peers) peer.settle();
          });
        },
        async close() {
          await Promise.all(ways.map(([, way]) => way.close()));
          await arena.close();
          await Promise.all(peers.map((peer) => peer.close()));
          if (count === 0) throw new Error('nothing was asked');
        },
      };
    },
  };
}

const proxyLine = (arena: Arena) => async (): Promise<Line> => {
  const socket = await openTcp((await arena.daemon()).proxyPort);
  return { socket, raw: socket };
};

/** To an origin: by an absolute URI, and through a tunnel in either version. */
function waysTo(arena: Arena, { port }: HostilePeer): Way[] {
  const authority = `localhost:${port}`;
  const tunnel = async (): Promise<Line> => {
    const { tls, raw } = await openTunnel(await arena.daemon(), authority, 'http/1.1');
    return { socket: tls, raw };
  };
  return [h1Way(proxyLine(arena), `https://${authority}/`), h1Way(tunnel, '/'), h2Way(arena, () => authority)];
}

const selfSigned = async () => {
  const { keyPem: key, certPem: cert } = await (await createPki()).selfSigned({ cn: 'localhost', sans: ['localhost'] });
  return { key, cert };
};

export const wireH1Origin = peerSurface('wire-h1-origin', 2, async () => {
  const [arena, tls, plain] = [await openArena(), await hostileH1(await selfSigned()), await hostileH1(null)];
  return {
    arena,
    peers: [tls, plain],
    make: http1Maker('response'),
    ways: [
      ...waysTo(arena, tls).map((way): [HostilePeer, Way] => [tls, way]),
      [plain, h1Way(proxyLine(arena), `http://localhost:${plain.port}/`)],
    ],
  };
});

export const wireH2Origin = peerSurface('wire-h2-origin', 2, async () => {
  const [arena, origin] = [await openArena(), await hostileH2(await selfSigned())];
  return {
    arena,
    peers: [origin],
    make: (random) => makeFrames(random, 'origin'),
    ways: waysTo(arena, origin).map((way): [HostilePeer, Way] => [origin, way]),
  };
});

/** Answers to CONNECT and to a whole request, and behind a 200 the flight of a TLS server, made wrong. */
export const wireUpstreamProxy = peerSurface('wire-upstream-proxy', 2, async () => {
  const identity = await (await createPki()).selfSigned({ cn: '127.0.0.1', sans: ['127.0.0.1'] });
  const [plain, tls] = [await hostileH1(null), await hostileH1({ key: identity.keyPem, cert: identity.certPem })];
  const ca = join(temporaryDirectory(), 'proxy.crt');
  writeFileSync(ca, identity.certPem);
  const arena = await openArena(`upstream_proxy:
  - { url: "http://127.0.0.1:${plain.port}", hosts: ["*.plain.example"] }
  - { url: "https://127.0.0.1:${tls.port}", hosts: ["*.tls.example"], ca: ${ca} }
`);
  const response = http1Maker('response');
  const flights = (await Promise.all([recordedHandshake('TLSv1.3'), recordedHandshake('TLSv1.2')])).map(
    ({ server }) => server,
  );
  const tokens = ['160303', '1403030001', '170303', '0b0000', '150303000202'].map((hex) => Buffer.from(hex, 'hex'));
  const opened = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');
  const ask = (host: string, scheme: string): Way => h1Way(proxyLine(arena), `${scheme}://a.${host}.example/`);
  return {
    arena,
    peers: [plain, tls],
    make: (random) =>
      random.oneIn(2) ? response(random) : Buffer.concat([opened, mutate(random, { seeds: flights, tokens })]),
    ways: [
      [plain, ask('plain', 'https')],
      [tls, ask('tls', 'https')],
      [plain, ask('plain', 'http')],
      [tls, ask('tls', 'http')],
    ],
  };
});
