/** HTTP/2 frames that are half right: any frame in any order, HPACK that may not decode, floods, windows and settings at play. */
import { block, FLAG, frame, PREFACE } from '../../test/support/h2-frames.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';

const TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 255] as const;
/** RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1, and none. */
const SETTINGS = [1, 2, 3, 4, 5, 6, 8, 9, 0, 0xffff] as const;
const VALUES = [0, 1, 2, 100, 0x3fff, 0x4000, 0xffff, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff] as const;
const CODES = [0, 1, 2, 3, 5, 7, 8, 11, 13, 255, 0xffffffff] as const;
/** Most frames of one input; a flood has more of one kind. */
const MOST_FRAMES = 12;
const MOST_FLOOD = 600;

/** Where `onStream` puts the stream that was asked on. */
const ASKED = 1;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

const REQUEST = [':method', 'GET', ':scheme', 'https', ':authority', 'localhost', ':path', '/'] as const;
const REQUEST_FIELDS: readonly (readonly string[])[] = [
  ['content-length', '5'],
  ['content-length', '0', 'content-length', '7'],
  ['te', 'trailers'],
  ['te', 'gzip'],
  ['connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'websocket'],
  [':protocol', 'websocket'],
  [':method', 'CONNECT'],
  [':path', '*'],
  [':path', ''],
  [':authority', 'other.example'],
  ['host', 'other.example'],
  ['trailer', 'x'],
  ['expect', '100-continue'],
  ['sec-fetch-site', 'cross-site'],
  ['mtlsd-certificate', 'none'],
  ['mtlsd-verification', 'report'],
  ['proxy-authorization', 'Basic eDp5'],
  ['via', '2 mtlsd'],
  ['Upper', 'case'],
  ['x', 'a\r\nb'],
  ['x', '\0'],
  ['x y', 'z'],
  ['', ''],
  ['cookie', 'a=b', 'cookie', 'c=d'],
  ['__proto__', 'p', 'constructor', 'c'],
  ['x-long', 'v'.repeat(9_000)],
  ['x-longer', 'v'.repeat(70_000)],
];
const RESPONSE_FIELDS: readonly (readonly string[])[] = [
  [':status', '200'],
  [':status', '204'],
  [':status', '103', 'link', '</a>; rel=preload'],
  [':status', '101'],
  [':status', '100'],
  [':status', '0'],
  [':status', '999'],
  [':status', '99999999999'],
  [':status', 'abc'],
  [':status', ''],
  [':status', '304', 'content-length', '10'],
  ['x-content-type-options', 'nosniff', 'x-content-type-options', 'nosniff'],
  ['content-type', 'a', 'content-type', 'b', 'etag', '1', 'etag', '2'],
  ['date', 'x', 'date', 'y'],
  ['set-cookie', 'a', 'set-cookie', 'b'],
  ['keep-alive', 'timeout=0'],
  ['alt-svc', 'h3=":443"'],
  ['proxy-status', 'a; error=b'],
  ...REQUEST_FIELDS,
];
/** RFC 7541 §6: indexed, of the dynamic table, resized, Huffman, cut off, and an integer without an end. */
const HPACK = ['80', '82', 'be', 'ff00', '3fe1ff03', '20', '3f', '008161', '00817f8161', '40ffffffffff7f', '00ff', '0f']
  .concat('ff80808080808080808080', '418cf1e3c2e5f23a6ba0ab90f4ff', '7f', '1f00')
  .map((hex) => Buffer.from(hex, 'hex'));

interface Side {
  readonly streams: (random: Random) => number;
  readonly fields: (random: Random) => string[];
}

const SIDES = {
  client: {
    // Clients count up in odd numbers (RFC 9113 §5.1.1); most inputs do.
    streams: (random) => (random.oneIn(8) ? random.pick([0, 2, 0x7fffffff, 99]) : 1 + 2 * random.below(6)),
    fields: (random) => [
      ...(random.oneIn(6) ? [] : REQUEST),
      ...Array.from({ length: random.below(4) }, () => random.pick(REQUEST_FIELDS)).flat(),
    ],
  },
  origin: {
    streams: (random) => (random.oneIn(6) ? random.pick([0, 2, 3, 5, 0x7fffffff]) : ASKED),
    fields: (random) =>
      [
        ...(random.oneIn(4) ? [] : [[':status', '200']]),
        ...Array.from({ length: random.below(4) }, () => random.pick(RESPONSE_FIELDS)),
      ].flat(),
  },
} satisfies Record<string, Side>;

/** Frames behind the preface. */
export function makeFrames(random: Random, kind: keyof typeof SIDES): Buffer {
  const side: Side = SIDES[kind];
  const frames = Array.from({ length: 1 + random.below(MOST_FRAMES) }, () => makeFrame(random, side));
  const bytes = Buffer.concat(frames);
  return random.oneIn(5) ? mutate(random, { seeds: [bytes], tokens: HPACK }) : bytes;
}

/** What is no preface, or half of one. */
export function makePreface(random: Random): Buffer {
  if (random.oneIn(2)) return random.bytes(random.length(60));
  return Buffer.from(PREFACE.slice(0, random.below(PREFACE.length)));
}

function makeFrame(random: Random, side: Side): Buffer {
  const stream = side.streams(random);
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return headersFrames(random, side, stream);
    case 4:
    case 5:
      return frame(0, random.pick([0, FLAG.endStream, 8, 9]), stream, data(random));
    case 6:
      return frame(3, 0, stream, u32(random.pick(CODES)));
    case 7:
      return settings(random);
    case 8:
      return frame(8, 0, random.oneIn(3) ? 0 : stream, u32(random.pick(VALUES)));
    case 9:
      return frame(7, 0, 0, Buffer.concat([u32(random.pick(VALUES)), u32(random.pick(CODES)), random.bytes(3)]));
    case 10:
      return frame(
        5,
        FLAG.endHeaders,
        stream,
        Buffer.concat([u32(random.pick([2, 4, 3, 0])), block(side.fields(random))]),
      );
    case 11:
      return flood(random, side, stream);
    case 12:
      return frame(2, 0, stream, random.bytes(5));
    default:
      return frame(random.pick(TYPES), random.below(256), stream, random.bytes(random.length(40)));
  }
}

function headersFrames(random: Random, side: Side, stream: number): Buffer {
  const whole = random.oneIn(8)
    ? Buffer.concat([block(side.fields(random)), random.pick(HPACK), random.bytes(random.below(4))])
    : block(side.fields(random));
  const end = random.oneIn(2) ? FLAG.endStream : 0;
  const pieces = random.oneIn(5) ? 1 + random.below(10) : Math.ceil((whole.length + 1) / 16_384);
  const size = Math.min(16_384, Math.ceil((whole.length + 1) / pieces));
  const frames: Buffer[] = [];
  for (let at = 0; at < Math.max(whole.length, 1); at += size) {
    const last = at + size >= whole.length && !random.oneIn(20) ? FLAG.endHeaders : 0;
    frames.push(frame(at === 0 ? 1 : 9, (at === 0 ? end : 0) | last, stream, whole.subarray(at, at + size)));
  }
  return Buffer.concat(frames);
}

/** Many of one kind: CONTINUATION, empty DATA, PING, SETTINGS, resets of new streams, window updates, interim responses. */
function flood(random: Random, side: Side, stream: number): Buffer {
  const times = random.oneIn(6) ? MOST_FLOOD : 1 + random.below(40);
  const kind = random.below(8);
  const one = (n: number): Buffer => {
    switch (kind) {
      case 0:
        return frame(9, 0, stream, random.bytes(2));
      case 1:
        return frame(0, 0, stream);
      case 2:
        return frame(6, 0, 0, Buffer.alloc(8));
      case 3:
        return settings(random);
      case 4: {
        const opened = stream + 2 * n;
        return Buffer.concat([frame(1, 5, opened, block(REQUEST)), frame(3, 0, opened, u32(8))]);
      }
      case 5:
        return frame(8, 0, random.oneIn(2) ? 0 : stream, u32(1));
      case 6:
        return frame(1, 4, stream, block([':status', '103', 'link', '</x>']));
      default:
        return frame(1, 4, stream + 2 * n, block(side.fields(random)));
    }
  };
  return Buffer.concat(Array.from({ length: times }, (_, n) => one(n)));
}

function settings(random: Random): Buffer {
  const pairs = Array.from({ length: random.below(4) }, () => {
    const pair = Buffer.alloc(6);
    pair.writeUInt16BE(random.pick(SETTINGS));
    pair.writeUInt32BE(random.pick(VALUES), 2);
    return pair;
  });
  const payload = Buffer.concat(pairs);
  return frame(
    4,
    random.oneIn(8) ? FLAG.ack : 0,
    random.oneIn(20) ? 1 : 0,
    random.oneIn(20) ? payload.subarray(1) : payload,
  );
}

const data = (random: Random): Buffer => Buffer.alloc(random.oneIn(10) ? 16_384 : random.below(200), 'd');

/** The same frames with the stream that was asked on in place of ASKED, as far as they are frames. */
export const onStream = (bytes: Buffer, stream: number): Buffer =>
  renumbered(bytes, (each) => (each === ASKED ? stream : each));

/** The same frames on streams that count on. */
export const onLaterStreams = (bytes: Buffer, by: number): Buffer =>
  renumbered(bytes, (each) => (each === 0 || each > 0x7fff_ffff - by ? each : each + by));

function renumbered(bytes: Buffer, change: (stream: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  for (let at = 0; at + 9 <= copy.length; at += 9 + copy.readUIntBE(at, 3))
    copy.writeUInt32BE(change(copy.readUInt32BE(at + 5)), at + 5);
  return copy;
}
