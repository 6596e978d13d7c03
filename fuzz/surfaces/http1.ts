/** The HTTP/1.1 readers, in this process: no other error than Http1Error, and any split of the bytes gives the same events. */
import { Http1Error } from '../../src/http1/errors.ts';
import { RequestReader, ResponseReader } from '../../src/http1/reader.ts';
import { Random } from '../random.ts';
import type { Surface } from '../surface.ts';

const START = [
  'GET / HTTP/1.1\r\n',
  'POST /a HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 103 x\r\n',
  'HTTP/1.0 204\r\n',
];
const TOKENS = [
  ...[
    'Host: a\r\n',
    'Content-Length: 3\r\n',
    'Content-Length: 4, 4\r\n',
    'Transfer-Encoding: chunked\r\n',
    'TE: trailers\r\n',
  ],
  ...[
    'Connection: close\r\n',
    'Trailer: x\r\n',
    '__proto__: y\r\n',
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    ' ',
    ':',
    '\0',
    '\x80',
  ],
  ...['3\r\nabc\r\n', '0\r\n\r\n', '0\r\nx: y\r\n\r\n', 'ffffffffffffffff\r\n', '1;a="b"\r\nz\r\n', 'abc'],
];
const CLEAN = [8, 9, 16, 17];

/** Events as text, neighbouring data joined, and how it ended. */
function read(kind: 'request' | 'response', parts: readonly Buffer[]): string {
  const reader = kind === 'request' ? new RequestReader({ headBytes: 256 }) : new ResponseReader({ headBytes: 256 });
  if (reader instanceof ResponseReader) for (const method of ['GET', 'HEAD', 'POST']) reader.expect(method);
  let events = '';
  let data = '';
  const flush = (): void => {
    if (data) events += `data ${JSON.stringify(data)}\n`;
    data = '';
  };
  try {
    for (const part of parts) {
      reader.feed(part);
      for (let event = reader.next(); event; event = reader.next()) {
        if (event.kind === 'data') data += event.bytes.toString('latin1');
        else {
          flush();
          events += `${JSON.stringify(event)}\n`;
        }
      }
    }
    reader.finish();
    for (let event = reader.next(); event; event = reader.next()) {
      flush();
      events += `${JSON.stringify(event)}\n`;
    }
  } catch (error) {
    if (!(error instanceof Http1Error)) throw error;
    flush();
    return `${events}${error.code}`;
  }
  flush();
  return events;
}

export const http1: Surface = {
  name: 'http1',
  share: 50,
  async open() {
    return {
      make(random: Random): Buffer {
        let text = random.oneIn(10) ? '' : random.pick(START);
        for (let n = random.below(10); n > 0; n--) {
          text += random.oneIn(3) ? random.pick(CLEAN.map((i) => TOKENS[i] ?? '')) : random.pick(TOKENS);
        }
        const bytes = Buffer.from(text, 'latin1');
        if (bytes.length > 0 && random.oneIn(4)) bytes[random.below(bytes.length)] = random.next();
        return bytes;
      },
      check(input: Buffer): void {
        const random = new Random(input.toString('latin1'));
        const parts: Buffer[] = [];
        for (let at = 0; at < input.length; ) {
          const size = 1 + random.below(7);
          parts.push(input.subarray(at, at + size));
          at += size;
        }
        for (const kind of ['request', 'response'] as const) {
          const whole = read(kind, [input]);
          const split = read(kind, parts);
          if (whole !== split) throw new Error(`${kind}: a split changes the events\n${whole}\n---\n${split}`);
        }
      },
    };
  },
};
