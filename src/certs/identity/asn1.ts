/**
 * BER and DER as trees, for the decoder's thread. node-forge parses them, because old PFX files are BER (indefinite lengths,
 * strings in pieces) and its depth is bounded.
 */
import forge from 'node-forge';

export type Asn1 = forge.asn1.Asn1;

const { Class, Type } = forge.asn1;

/** The structure is not as expected; the caller names the file. */
export class Asn1Error extends Error {}

export function parseAsn1(bytes: Uint8Array): Asn1 {
  try {
    const buffer = forge.util.createBuffer(Buffer.from(bytes).toString('latin1'));
    // decodeBitStrings would guess at structures inside keys.
    return forge.asn1.fromDer(buffer, { strict: true, parseAllBytes: false, decodeBitStrings: false } as never);
  } catch {
    throw new Asn1Error('not DER');
  }
}

export function toDer(node: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1');
}

/** The elements of a SEQUENCE, SET or explicit tag. */
export function items(node: Asn1 | undefined): Asn1[] {
  if (!node || !Array.isArray(node.value)) throw new Asn1Error('a structure is missing');
  return node.value;
}

export function isContext(node: Asn1 | undefined, tag: number): boolean {
  return node !== undefined && node.tagClass === Class.CONTEXT_SPECIFIC && (node.type as number) === tag;
}

export function isSequence(node: Asn1 | undefined): boolean {
  return node !== undefined && node.tagClass === Class.UNIVERSAL && node.type === Type.SEQUENCE;
}

/** An OCTET STRING's bytes, joined where it comes in pieces (X.690 §8.7.3). */
export function octets(node: Asn1 | undefined): Buffer {
  if (!node) throw new Asn1Error('a string is missing');
  if (Array.isArray(node.value)) return Buffer.concat(node.value.map(octets));
  return Buffer.from(node.value, 'latin1');
}

/** A BMPString, which node-forge has turned into text already; null for any other type. */
export function bmpString(node: Asn1 | undefined): string | null {
  return node?.type === Type.BMPSTRING && !Array.isArray(node.value) ? node.value : null;
}

export function oid(node: Asn1 | undefined): string {
  if (!node || node.type !== Type.OID || Array.isArray(node.value))
    throw new Asn1Error('an object identifier is missing');
  return forge.asn1.derToOid(node.value);
}

/** A small unsigned INTEGER; no valid count or length here is larger than 2^32. */
export function integer(node: Asn1 | undefined): number {
  if (!node || node.type !== Type.INTEGER || Array.isArray(node.value)) throw new Asn1Error('a number is missing');
  const bytes = Buffer.from(node.value, 'latin1');
  if (bytes.length === 0 || bytes.length > 5) return Number.MAX_SAFE_INTEGER;
  return bytes.readUIntBE(0, bytes.length);
}

export function isInteger(node: Asn1 | undefined): boolean {
  return node !== undefined && node.tagClass === Class.UNIVERSAL && node.type === Type.INTEGER;
}
