/** The outermost DER elements of a file (X.690 §8.1), enough to tell what it is and whether it is whole. */

export interface Element {
  readonly tag: number;
  /** Offset of the content. */
  readonly start: number;
  /** Offset after the content; beyond the buffer where it was cut off. */
  readonly end: number;
}

export const TAG = { integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, sequence: 0x30, set: 0x31 } as const;

/** The element at an offset, or null where there is none. Indefinite lengths (BER) end at the buffer's end. */
export function elementAt(bytes: Uint8Array, offset = 0): Element | null {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null;
  if (first < 0x80) return { tag, start: offset + 2, end: offset + 2 + first };
  if (first === 0x80) return { tag, start: offset + 2, end: bytes.length };
  const count = first & 0x7f;
  if (count > 4) return null;
  let length = 0;
  for (let i = 0; i < count; i++) {
    const byte = bytes[offset + 2 + i];
    if (byte === undefined) return null;
    length = length * 256 + byte;
  }
  return { tag, start: offset + 2 + count, end: offset + 2 + count + length };
}

/** The first elements inside another, as many as there are up to `most`. */
export function childrenOf(bytes: Uint8Array, parent: Element, most = 4): Element[] {
  const children: Element[] = [];
  const limit = Math.min(parent.end, bytes.length);
  for (let offset = parent.start; offset < limit && children.length < most; ) {
    const child = elementAt(bytes, offset);
    if (!child) break;
    children.push(child);
    offset = child.end;
  }
  return children;
}

/** The value of an OBJECT IDENTIFIER in hexadecimal. */
export function oidHex(bytes: Uint8Array, element: Element): string {
  return Buffer.from(bytes.subarray(element.start, element.end)).toString('hex');
}
