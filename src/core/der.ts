/**
 * Reading DER (X.690 §10) as far as certificates need: node:crypto tells most of a certificate, but not its extensions
 * nor the exact bytes of its names. The input has been parsed by OpenSSL before, so damage is rare, and throws.
 */

export interface Element {
  readonly tag: number;
  /** The contents, without tag and length. */
  readonly value: Buffer;
  /** Tag, length and contents. */
  readonly raw: Buffer;
}

/** All elements that lie side by side in `bytes`. Throws RangeError where they don't fill it exactly. */
export function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let start = 0; start < bytes.length; ) {
    const element = elementAt(bytes, start);
    found.push(element);
    start += element.raw.length;
  }
  return found;
}

/** The elements inside a constructed one, of which `bytes` holds exactly one. */
export function children(bytes: Buffer): Element[] {
  return elements(elementAt(bytes, 0).value);
}

function elementAt(bytes: Buffer, start: number): Element {
  const tag = bytes[start] ?? outOfRange();
  let length = bytes[start + 1] ?? outOfRange();
  let header = 2;
  if (length > 0x80) {
    const octets = length & 0x7f;
    // Four octets count to 4 GiB; more is an attack or not DER.
    if (octets > 4 || start + 2 + octets > bytes.length) outOfRange();
    length = bytes.readUIntBE(start + 2, octets);
    header += octets;
  }
  const end = start + header + length;
  if (end > bytes.length) outOfRange();
  return { tag, value: bytes.subarray(start + header, end), raw: bytes.subarray(start, end) };
}

function outOfRange(): never {
  throw new RangeError('the DER ends too soon');
}

/** An OBJECT IDENTIFIER's contents in dots (X.690 §8.19). */
export function oidText(value: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of value) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet & 0x80) continue;
    if (arcs.length === 0) {
      const first = Math.min(Math.floor(arc / 40), 2);
      arcs.push(first, arc - first * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}
