/** Chromium packs its screenshots fast and loosely; in a repository they are kept for good. */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE_BYTES = 8;
/** By colour type (PNG §11.2.2); 8 bits each, which is all that Chromium writes. */
const CHANNELS: Readonly<Record<number, number>> = { 2: 3, 6: 4 };

/** The same picture in fewer bytes: areas of one colour pack best without filters. */
export function packed(png: Buffer): Buffer {
  const head: Buffer[] = [png.subarray(0, SIGNATURE_BYTES)];
  const data: Buffer[] = [];
  const tail: Buffer[] = [];
  let width = 0;
  let channels = 0;
  for (let at = SIGNATURE_BYTES; at < png.length; ) {
    const end = at + 12 + png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') {
      width = png.readUInt32BE(at + 8);
      channels = CHANNELS[png[at + 17] ?? 0] ?? 0;
    }
    if (type === 'IDAT') data.push(png.subarray(at + 8, end - 4));
    else (data.length === 0 ? head : tail).push(png.subarray(at, end));
    at = end;
  }
  if (channels === 0) throw new Error('a PNG of another kind than Chromium writes');
  const lines = inflateSync(Buffer.concat(data));
  removeFilters(lines, width * channels, channels);
  return Buffer.concat([...head, chunk('IDAT', deflateSync(lines, { level: 9, memLevel: 9 })), ...tail]);
}

/** In place (PNG §9.2): each line is a filter type and its bytes. */
function removeFilters(lines: Buffer, lineBytes: number, channels: number): void {
  for (let start = 0; start < lines.length; start += lineBytes + 1) {
    const filter = lines[start];
    lines[start] = 0;
    for (let i = 1; i <= lineBytes; i++) {
      const at = start + i;
      const left = i > channels ? (lines[at - channels] ?? 0) : 0;
      const up = start > 0 ? (lines[at - lineBytes - 1] ?? 0) : 0;
      const corner = start > 0 && i > channels ? (lines[at - lineBytes - 1 - channels] ?? 0) : 0;
      lines[at] = (lines[at] ?? 0) + predicted(filter, left, up, corner);
    }
  }
}

function predicted(filter: number | undefined, left: number, up: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter !== 4) return 0;
  // Paeth: whichever is nearest to left + up - corner.
  const [byLeft, byUp, byCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, check]);
}
