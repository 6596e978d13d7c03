/** What clients may send to a running daemon: to the proxy's port, by SOCKS, and inside an intercepted connection. */
import { FRAME, frame, PREFACE } from '../../test/support/h2-frames.ts';
import { mutate } from '../mutate.ts';
import { recordedHandshake } from '../tls-bytes.ts';
import { openTcp, openTunnel } from '../wire/arena.ts';
import { attackOn, clientSurface } from '../wire/clients.ts';
import { makeFrames, makePreface, onLaterStreams } from '../wire/frames.ts';
import { http1Maker } from '../wire/http1-text.ts';
import type { Line } from '../wire/lanes.ts';

export const wireProxy = clientSurface('wire-proxy', 2, () =>
  attackOn((arena, { tls, plain }) => ({
    make: http1Maker('proxy', { PORT: String(plain), TLS: String(tls) }),
    async open() {
      const socket = await openTcp((await arena.daemon()).proxyPort);
      return { socket, raw: socket };
    },
  })),
);

export const wireH1Client = clientSurface('wire-h1-client', 2, () =>
  attackOn((arena, { tls }) => ({
    make: http1Maker('request'),
    async open() {
      const opened = await openTunnel(await arena.daemon(), `localhost:${tls}`, 'http/1.1');
      return { socket: opened.tls, raw: opened.raw };
    },
  })),
);

/** Streams that one input may open; the next one on the same connection counts on from there. */
const STREAMS_OF_INPUT = 1_400;

export const wireH2Client = clientSurface('wire-h2-client', 2, () =>
  attackOn((arena, { tls }) => {
    /** Inputs that were sent on a connection. */
    const sent = new WeakMap<Line, number>();
    return {
      make: (random) => (random.oneIn(40) ? makePreface(random) : makeFrames(random, 'client')),
      async open() {
        const opened = await openTunnel(await arena.daemon(), `localhost:${tls}`, 'h2');
        return { socket: opened.tls, raw: opened.raw };
      },
      on({ bytes, early }, line) {
        const before = sent.get(line) ?? 0;
        sent.set(line, before + 1);
        if (before > 0) return onLaterStreams(bytes, before * STREAMS_OF_INPUT);
        return early ? bytes : Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0), bytes]);
      },
    };
  }),
);

/** RFC 1928: greetings, logins, and requests for a name, addresses and unknown kinds. */
const SOCKS_SEEDS = (port: number): Buffer[] => {
  const target = port.toString(16).padStart(4, '0');
  const name = Buffer.from('localhost').toString('hex');
  return ['0501000501000309' + name, '0501000501000409' + name, '050100050100017f000001', '050100050200017f000001']
    .concat('05010005010004' + '0'.repeat(31) + '1', '0501020101780179050100017f000001', '0401005000000001')
    .map((hex) => Buffer.from(`${hex}${target}474554202f20485454502f312e310d0a0d0a`, 'hex'));
};

export const wireSocks = clientSurface('wire-socks', 2, () =>
  attackOn((arena, { plain, tls }) => {
    const seeds = [...SOCKS_SEEDS(plain), ...SOCKS_SEEDS(tls)];
    const tokens = ['0500', '0501', '05ff', '0502', '00', 'ff', '160301'].map((hex) => Buffer.from(hex, 'hex'));
    return {
      make: (random) => mutate(random, { seeds, tokens }).subarray(0, 2_000),
      async open() {
        const ready = await (await arena.daemon()).event('daemon.ready');
        const socket = await openTcp(Number(String(ready.socks).split(':').at(-1)));
        return { socket, raw: socket };
      },
    };
  }),
);

export const wireClientHello = clientSurface('wire-client-hello', 2, async () => {
  const hellos = await Promise.all([recordedHandshake('TLSv1.3'), recordedHandshake('TLSv1.2')]);
  const tokens = ['0000', '0010', 'ffff', '000c02683208687474702f312e31', '1603010200', '15030100020100', '00'].map(
    (hex) => Buffer.from(hex, 'hex'),
  );
  return attackOn((arena, { tls }) => {
    const connect = Buffer.from(`CONNECT localhost:${tls} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return {
      make: (random) => Buffer.concat([connect, mutate(random, { seeds: hellos.map(({ client }) => client), tokens })]),
      async open() {
        const socket = await openTcp((await arena.daemon()).proxyPort);
        return { socket, raw: socket };
      },
    };
  });
});
