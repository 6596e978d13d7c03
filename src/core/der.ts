/**
 * Reading DER (X.690 §10): what a file is, whether it is whole, and what node:crypto does not show of a certificate, its
 * extensions and the exact bytes of its names. Our own, because paths are built with it while a connection waits: a certificate
 * takes 0.02 ms, 0.4 ms with @peculiar/asn1-x509 (2.6), which does not keep the bytes of a name either.
 */

export interface Element {
  readonly tag: number;
  /** The contents, without tag and length. */
  readonly value: Buffer;
  /** Tag, length and contents. */
  readonly raw: Buffer;
  /** False where the bytes end before the element does: both are then what there is. */
  readonly whole: boolean;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The element that starts the bytes, or null where there is none. An indefinite length (BER) goes to their end. */
export function firstElement(bytes: Buffer): Element | null {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null;
  const octets = first > 0x80 ? first & 0x7f : 0;
  // Four octets count to 4 GiB; more is an attack or not DER.
  if (octets > 4 || 2 + octets > bytes.length) return null;
  const start = 2 + octets;
  const length = octets > 0 ? bytes.readUIntBE(2, octets) : first === 0x80 ? bytes.length - start : first;
  const end = start + length;
  return { tag, value: bytes.subarray(start, end), raw: bytes.subarray(0, end), whole: end <= bytes.length };
}

/** The first elements that lie side by side in the bytes, as many as can be read up to `most`. */
export function firstElements(bytes: Buffer, most: number): Element[] {
  const found: Element[] = [];
  for (let rest = bytes; found.length < most; ) {
    const element = firstElement(rest);
    if (!element) break;
    found.push(element);
    rest = rest.subarray(element.raw.length);
  }
  return found;
}

/**
 * All elements that lie side by side in the bytes.
 * @throws RangeError where they don't fill them exactly, or one is of indefinite length
 */
export function elements(bytes: Buffer): Element[] {
  const found = firstElements(bytes, Infinity);
  const length = found.reduce((sum, { raw }) => sum + raw.length, 0);
  const isDer = found.every(({ whole, raw }) => whole && raw[1] !== 0x80);
  if (length !== bytes.length || !isDer) throw new RangeError('the DER ends too soon');
  return found;
}

/**
 * The elements inside a constructed one, with which the bytes start.
 * @throws RangeError
 */
export function children(bytes: Buffer): Element[] {
  const parent = firstElement(bytes);
  if (!parent?.whole || parent.raw[1] === 0x80) throw new RangeError('the DER ends too soon');
  return elements(parent.value);
}

/**
 * The elements of the SEQUENCE inside an EXPLICIT tag; none where the tag is absent.
 * @throws RangeError
 */
export function explicitElements(holder: Element | undefined): Element[] {
  const [inner] = holder ? children(holder.raw) : [];
  return inner ? children(inner.raw) : [];
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

/**
 * UTCTime or GeneralizedTime as certificates, CRLs and OCSP responses write them: UTC, whole seconds (RFC 5280 §4.1.2.5).
 * @throws RangeError
 */
export function timeOf({ tag, value }: Element): Date {
  const text = value.toString('latin1');
  const match = tag === TAG.utcTime ? UTC_TIME.exec(text) : tag === TAG.generalizedTime ? FULL_TIME.exec(text) : null;
  if (!match) throw new RangeError('the DER holds no time where one belongs');
  const [, years = '', month, day, hour, minute, second] = match;
  // RFC 5280 §4.1.2.5.1: 50 and above are of the last century.
  const century = years.length === 4 ? '' : years >= '50' ? '19' : '20';
  const time = new Date(`${century}${years}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time.getTime())) throw new RangeError(`${text} is not a time`);
  return time;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const FULL_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
