/** HTTP/2 frames, written byte by byte (RFC 9113 §4, RFC 7541), for peers that say what no library lets them say. */

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** Each field as a literal without indexing and without Huffman (RFC 7541 §6.2.2). @param flat `[name, value, …]` */
export function block(flat: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < flat.length; i += 2)
    parts.push(Buffer.of(0), text(flat[i] as string), text(flat[i + 1] as string));
  return Buffer.concat(parts);
}

/** HEADERS, and CONTINUATION where one frame of 16 KB does not hold them. */
export function headers(stream: number, flat: readonly string[], endStream: boolean): Buffer {
  const whole = block(flat);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < whole.length; at += 16_384) {
    const last = at + 16_384 >= whole.length ? FLAG.endHeaders : 0;
    const type = at === 0 ? FRAME.headers : FRAME.continuation;
    const end = at === 0 && endStream ? FLAG.endStream : 0;
    frames.push(frame(type, last | end, stream, whole.subarray(at, at + 16_384)));
  }
  return Buffer.concat(frames);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([length(bytes.length), bytes]);
}

/** RFC 7541 §5.1, with a prefix of 7 bits. */
function length(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let left = value - 127;
  for (; left >= 128; left >>= 7) bytes.push((left & 127) | 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Cuts bytes as they come into frames. @param skip bytes in front of the first one, such as the preface */
export function frameReader(onFrame: (frame: Frame) => void, skip = 0): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  let left = skip;
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    const skipped = Math.min(left, held.length);
    left -= skipped;
    held = held.subarray(skipped);
    if (left > 0) return;
    while (held.length >= 9) {
      const size = held.readUIntBE(0, 3);
      if (held.length < 9 + size) return;
      const payload = held.subarray(9, 9 + size);
      const read = { type: held[3] as number, flags: held[4] as number, stream: held.readUInt32BE(5), payload };
      held = held.subarray(9 + size);
      onFrame(read);
    }
  };
}
